//! The generic pass: a YAML node held against its shape becomes a value, or findings.

mod query;
mod row;
mod scalar;

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value as Json};

use crate::finding::{Finding, Place};
use crate::pipeline::{Name, Sql};
use crate::shape::{self, Key, Kind, Shape, Written};
use crate::types::{Field, SparkType};
use crate::yaml::{Entry, MERGE, Mark, Node, Value};

/// Reads the nodes of one file and gathers what is wrong with them.
pub(crate) struct Reading<'a> {
    path: &'a Path,
    lines: Vec<&'a str>,
    errors: usize,
    /// The shape of the document that is read.
    pub document: &'static Shape,
    pub findings: Vec<Finding>,
    /// Time patterns of the schemas so far, and where each stands.
    pub patterns: Vec<(String, Place)>,
    /// Names in mappings whose values are wrong, in lower case: columns of a schema among others.
    pub broken: BTreeSet<String>,
    /// Lists of which an item could not be read at all.
    pub gaps: BTreeSet<String>,
}

/// A value that its kind allows, and where it stands.
#[derive(Debug)]
pub(crate) struct Item<'a> {
    pub mark: Mark,
    pub got: Got<'a>,
}

#[derive(Debug)]
pub(crate) enum Got<'a> {
    Text(&'a str),
    Name(Name),
    Sql(Sql),
    Flag(bool),
    Count(u64),
    Duration(Duration),
    Size(u64),
    Character(u8),
    Choice(&'static str),
    Type(SparkType),
    Columns(Vec<Field>),
    Row(Map<String, Json>, &'a Node),
    /// What could be read of it.
    List(Vec<Item<'a>>),
    Map(Vec<(&'a str, Mark, Item<'a>)>),
    Object(Object<'a>),
}

/// What could be read of an object with fixed keys.
#[derive(Debug)]
pub(crate) struct Object<'a> {
    items: Vec<(&'static str, Mark, Item<'a>)>,
    /// Keys whose values are wrong somewhere, or that are missing or misspelt.
    unsound: Vec<&'static str>,
}

/// What a value belongs to, as messages call it: a key, an item of a key's list, or the whole document.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    /// Empty for the document.
    pub name: &'a str,
    pub is_item: bool,
    /// Where it begins.
    pub mark: Mark,
}

impl<'a> Owner<'a> {
    pub(crate) fn document(mark: Mark) -> Self {
        Self { name: "", is_item: false, mark }
    }

    fn key(name: &'a str, mark: Mark) -> Self {
        Self { name, is_item: false, mark }
    }
}

impl fmt::Display for Owner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name {
            "" => f.write_str("the document"),
            name if self.is_item => write!(f, "an item of `{name}`"),
            name => write!(f, "`{name}`"),
        }
    }
}

impl<'a> Reading<'a> {
    pub(crate) fn new(path: &'a Path, text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self {
            path,
            lines: crate::yaml::lines(text).collect(),
            errors: 0,
            document: &shape::PIPELINE,
            findings: Vec::new(),
            patterns: Vec::new(),
            broken: BTreeSet::new(),
            gaps: BTreeSet::new(),
        }
    }

    /// `None` where nothing could be made of the node; then there are findings.
    pub(crate) fn read(&mut self, node: &'a Node, kind: Kind, owner: Owner<'_>) -> Option<Item<'a>> {
        let got = match (kind, &node.value) {
            (Kind::Either(plain, _), Value::Scalar(_)) => return self.read(node, *plain, owner),
            (Kind::Either(_, object), Value::Map(_)) => return self.read(node, *object, owner),
            (Kind::Object(shape), Value::Map(entries)) => Some(Got::Object(self.object(shape, entries, owner))),
            (Kind::Map(item), Value::Map(entries)) => Some(Got::Map(self.map(*item, entries))),
            (Kind::Row, Value::Map(_)) => self.row(node).map(|row| Got::Row(row, node)),
            (Kind::List(item, least), Value::List(nodes)) => self.list(*item, least, nodes, owner),
            (_, Value::Scalar(scalar)) => self.scalar(node, scalar, kind, owner),
            (_, value) => {
                let found = if matches!(value, Value::List(_)) { "a list" } else { "a mapping" };
                self.error(node.mark, format!("{owner} expects {}, found {found}", wanted(kind)), example(kind));
                None
            }
        };
        Some(Item { mark: node.mark, got: got? })
    }

    pub(crate) fn object(&mut self, shape: &'static Shape, entries: &'a [Entry], owner: Owner<'_>) -> Object<'a> {
        let mut object = Object::empty();
        let is_merged = self.is_merged(entries);
        for entry in entries.iter().filter(|entry| entry.key != MERGE) {
            let Some(key) = shape.key(&entry.key) else {
                object.unsound.extend(self.unknown_key(shape, entry, owner));
                continue;
            };
            let before = self.errors();
            let item = self.read(&entry.node, key.kind, Owner::key(key.name, entry.mark));
            if self.errors() > before {
                object.unsound.push(key.name);
            }
            if let Some(item) = item {
                object.items.push((key.name, entry.mark, item));
            }
        }
        let is_written = |key: &&Key| entries.iter().any(|entry| entry.key == key.name);
        let is_missing =
            |key: &&Key, object: &Object<'_>| key.required && !is_written(key) && object.is_sound(key.name);
        for key in shape.keys {
            // A misspelt one was reported.
            if !is_missing(&key, &object) {
                continue;
            }
            if is_merged {
                object.unsound.push(key.name);
                continue;
            }
            let hint = match (key.kind, key.examples) {
                (Kind::Choice([(only, _)]), _) => Some(format!("write `{}: {only}`", key.name)),
                (_, [first, ..]) => Some(format!("write it like `{}: {first}`", key.name)),
                (kind, []) => example(kind),
            };
            self.error(owner.mark, format!("`{}` is missing in {}", key.name, owner), hint);
            object.unsound.push(key.name);
        }
        if shape.written != Written::Any {
            self.written(shape, entries, owner);
        }
        object
    }

    /// Whether a merge key is among them: then the mapping is not sound. It was reported with what is wrong with the YAML.
    fn is_merged(&mut self, entries: &[Entry]) -> bool {
        let is_merged = entries.iter().any(|entry| entry.key == MERGE);
        self.errors += usize::from(is_merged);
        is_merged
    }

    /// What paths in the file are relative to.
    pub(crate) fn folder(&self) -> &'a Path {
        self.path.parent().unwrap_or(Path::new(""))
    }

    pub(crate) fn place(&self, mark: Mark) -> Place {
        Place { file: self.path.to_owned(), line: mark.line, column: mark.column }
    }

    pub(crate) fn error(&mut self, mark: Mark, message: String, hint: Option<String>) {
        self.error_at(self.place(mark), message, hint);
    }

    pub(crate) fn error_at(&mut self, place: Place, message: String, hint: Option<String>) {
        self.errors += 1;
        self.findings.push(Finding { hint, ..Finding::error(place, message) });
    }

    pub(crate) fn note(&mut self, mark: Mark, message: &str, hint: Option<&str>) {
        let place = self.place(mark);
        self.findings.push(Finding { hint: hint.map(str::to_owned), ..Finding::note(place, message) });
    }

    /// So far.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    fn written(&mut self, shape: &'static Shape, entries: &[Entry], owner: Owner<'_>) {
        let names: Vec<&str> = shape.keys.iter().map(|key| key.name).collect();
        let mut written = entries.iter().filter(|entry| names.contains(&entry.key.as_str()));
        let wanted = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ");
        match (written.next(), written.next()) {
            // What is there instead was reported already.
            (None, _) if !entries.is_empty() => {}
            (None, _) => self.error(owner.mark, format!("{owner} is empty"), Some(format!("write {wanted} in it"))),
            (Some(_), Some(second)) if shape.written == Written::One => {
                let message = format!("{owner} takes only one of {wanted}");
                self.error(second.mark, message, Some("remove one of them".to_owned()));
            }
            (Some(_), _) => {}
        }
    }

    fn map(&mut self, kind: Kind, entries: &'a [Entry]) -> Vec<(&'a str, Mark, Item<'a>)> {
        self.is_merged(entries);
        let mut items = Vec::with_capacity(entries.len());
        for entry in entries.iter().filter(|entry| entry.key != MERGE) {
            match self.read(&entry.node, kind, Owner::key(&entry.key, entry.mark)) {
                Some(item) => items.push((entry.key.as_str(), entry.mark, item)),
                None => _ = self.broken.insert(entry.key.to_lowercase()),
            }
        }
        items
    }

    fn list(&mut self, kind: Kind, least: usize, nodes: &'a [Node], owner: Owner<'_>) -> Option<Got<'a>> {
        if nodes.len() < least {
            self.error(
                owner.mark,
                format!("{owner} is empty"),
                Some("write at least one item, or leave the key out".to_owned()),
            );
            return None;
        }
        let mut items = Vec::with_capacity(nodes.len());
        for node in nodes {
            match self.read(node, kind, Owner { name: owner.name, is_item: true, mark: node.mark }) {
                Some(item) => items.push(item),
                None => _ = self.gaps.insert(owner.name.to_owned()),
            }
        }
        Some(Got::List(items))
    }

    /// Returns the key that was probably meant.
    fn unknown_key(&mut self, shape: &'static Shape, entry: &Entry, owner: Owner<'_>) -> Option<&'static str> {
        let names = || shape.keys.iter().map(|key| key.name);
        let near = crate::closest(&entry.key, names());
        let hint = if let Some(near) = near {
            format!("did you mean `{near}`?")
        } else if shape.name == "Type" {
            "a nested object is written `{ type: struct, fields: { ... } }`".to_owned()
        } else if entry.key.contains(['(', '*', ' ']) {
            "a text with commas, like SQL, stands in quotes within { }".to_owned()
        } else if let Some(home) = shape::home_of(self.document, &entry.key) {
            format!("it belongs in `{home}`: is it indented wrongly?")
        } else {
            format!("the keys here are {}", names().collect::<Vec<_>>().join(", "))
        };
        self.error(entry.mark, format!("unknown key `{}` in {}", entry.key, owner), Some(hint));
        near
    }
}

impl<'a> Object<'a> {
    pub(crate) fn empty() -> Self {
        Self { items: Vec::new(), unsound: Vec::new() }
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Item<'a>> {
        self.items.iter().find(|(name, ..)| *name == key).map(|(.., item)| item)
    }

    /// Where the key stands.
    pub(crate) fn key_mark(&self, key: &str) -> Option<Mark> {
        self.items.iter().find(|(name, ..)| *name == key).map(|(_, mark, _)| *mark)
    }

    /// Whether nothing was wrong with the key's value, or its absence.
    pub(crate) fn is_sound(&self, key: &str) -> bool {
        !self.unsound.contains(&key)
    }

    pub(crate) fn text(&self, key: &str) -> Option<&'a str> {
        if let Got::Text(text) = self.get(key)?.got { Some(text) } else { None }
    }

    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        if let Got::Flag(flag) = self.get(key)?.got { Some(flag) } else { None }
    }

    pub(crate) fn choice(&self, key: &str) -> Option<&'static str> {
        if let Got::Choice(choice) = self.get(key)?.got { Some(choice) } else { None }
    }

    pub(crate) fn count(&self, key: &str) -> Option<u64> {
        if let Got::Count(count) = self.get(key)?.got { Some(count) } else { None }
    }

    pub(crate) fn character(&self, key: &str) -> Option<u8> {
        if let Got::Character(character) = self.get(key)?.got { Some(character) } else { None }
    }

    pub(crate) fn duration(&self, key: &str) -> Option<Duration> {
        if let Got::Duration(duration) = self.get(key)?.got { Some(duration) } else { None }
    }

    pub(crate) fn size(&self, key: &str) -> Option<u64> {
        if let Got::Size(size) = self.get(key)?.got { Some(size) } else { None }
    }

    pub(crate) fn object(&self, key: &str) -> Option<&Object<'a>> {
        if let Got::Object(object) = &self.get(key)?.got { Some(object) } else { None }
    }

    pub(crate) fn list(&self, key: &str) -> &[Item<'a>] {
        if let Some(Item { got: Got::List(items), .. }) = self.get(key) { items } else { &[] }
    }

    pub(crate) fn map(&self, key: &str) -> &[(&'a str, Mark, Item<'a>)] {
        if let Some(Item { got: Got::Map(items), .. }) = self.get(key) { items } else { &[] }
    }
}

/// What a kind is, for "expects ...".
fn wanted(kind: Kind) -> String {
    match kind {
        Kind::Text | Kind::Path => "text".to_owned(),
        Kind::Name => "a name".to_owned(),
        Kind::Sql => "a query".to_owned(),
        Kind::Flag => "true or false".to_owned(),
        Kind::Count => "a whole number".to_owned(),
        Kind::Duration => "a duration".to_owned(),
        Kind::Size => "a size".to_owned(),
        Kind::Bound => "a duration or a size".to_owned(),
        Kind::Character => "one character".to_owned(),
        Kind::Choice([(only, _)]) => format!("`{only}`"),
        Kind::Choice(words) => {
            let words: Vec<String> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            let (last, others) = words.split_last().expect("a choice has words");
            format!("{} or {last}", others.join(", "))
        }
        Kind::Type | Kind::TypeOrOuter => "a type".to_owned(),
        Kind::Columns => "columns".to_owned(),
        Kind::Row => "an object".to_owned(),
        Kind::List(..) => "a list".to_owned(),
        Kind::Map(_) | Kind::Object(_) => "a mapping".to_owned(),
        Kind::Either(plain, object) => format!("{} or {}", wanted(*plain), wanted(*object)),
    }
}

/// How to write a value of the kind.
fn example(kind: Kind) -> Option<String> {
    let text = match kind {
        Kind::Duration => "write it like `10 minutes`",
        Kind::Size => "write it like `16 MiB`",
        Kind::Bound => "write it like `30 days` or `10 GiB`",
        Kind::Type | Kind::TypeOrOuter => "write a Spark type, like `string` or `array<int>`",
        Kind::Columns | Kind::Map(Kind::Either(Kind::Type, _)) => "write `column: type` lines under it",
        Kind::Row => "write `{ column: value, ... }`",
        Kind::List(Kind::Object(_) | Kind::Row, _) => "write its items as a list, each starting with `- `",
        Kind::List(..) => "write it as a list: `[a, b]`",
        Kind::Map(Kind::List(..)) => "write `name: [{ column: value, ... }]` under it",
        Kind::Object(shape) if shape.name == "Source" => "write `file: { path: ... }` or `http: {}` under it",
        Kind::Object(shape) if shape.name == "Secret" => "write `{ env: NAME }` or `{ file: PATH }`",
        Kind::Object(shape) => {
            let keys = shape.keys.iter().map(|key| format!("`{}`", key.name)).collect::<Vec<_>>().join(", ");
            return Some(format!("write its keys under it, indented: {keys}"));
        }
        Kind::Either(_, object) => return example(*object),
        _ => return None,
    };
    Some(text.to_owned())
}
