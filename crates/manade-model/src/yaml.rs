//! YAML documents with the place of every key and value.
//!
//! Built from `saphyr-parser`'s events rather than its tree: events tell a block scalar from a quoted one (SQL errors
//! point into the former), keep duplicate keys, and leave nesting and aliases for us to bound.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

/// A position in one file: line and column from 1, columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    pub line: usize,
    pub column: usize,
}

/// One document, and what is wrong with it but did not keep it from being read.
#[derive(Debug)]
pub(crate) struct Document {
    pub root: Node,
    pub problems: Vec<Problem>,
}

#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub mark: Mark,
    pub value: Value,
}

#[derive(Debug, Clone)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    /// Keys are unique.
    Map(Vec<Entry>),
}

#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub key: String,
    pub mark: Mark,
    pub node: Node,
}

#[derive(Debug, Clone)]
pub(crate) struct Scalar {
    pub text: String,
    pub style: Style,
    /// Behind the last character.
    pub end: Mark,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Without quotes: may mean null, a boolean or a number.
    Plain,
    Quoted,
    /// `|`
    Literal,
    /// `>`
    Folded,
}

/// What is wrong with the YAML itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub mark: Mark,
    pub message: String,
    pub hint: Option<String>,
}

/// Deeper nesting is refused, so that whoever walks the tree may recurse.
const DEEPEST: usize = 64;
/// Aliases of a file may add so much, in about bytes: a few nested ones could otherwise multiply without end.
const LARGEST_EXPANSION: usize = 8 << 20;

/// Of a file that is no YAML at all, or not meant as YAML, this is enough.
const MOST_ERRORS: usize = 100;

/// The documents of `text`, and its syntax errors. Empty documents are left out, and those with a syntax error: reading
/// goes on at the next `---`.
pub(crate) fn read(text: &str) -> (Vec<Document>, Vec<Problem>) {
    let mut reader = Reader::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if let Some(problem) = control_character(text) {
        return (Vec::new(), vec![problem]);
    }
    let mut rest = text;
    let mut first_line = 0;
    let mut errors = Vec::new();
    while let Err(stop) = reader.documents(rest, first_line) {
        let line = stop.mark.line;
        errors.push(at_the_tab(stop, text));
        if errors.len() >= MOST_ERRORS {
            break;
        }
        let Some((skipped, offset)) = next_document(rest, line - first_line) else { break };
        first_line += skipped;
        rest = &rest[offset..];
    }
    (reader.documents, errors)
}

/// The lines of a file: `\n`, `\r\n` and `\r` end one, as in YAML.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split('\n').flat_map(|line| line.strip_suffix('\r').unwrap_or(line).split('\r'))
}

/// One file's reading.
#[derive(Default)]
struct Reader {
    documents: Vec<Document>,
    /// Of the document that is being read.
    problems: Vec<Problem>,
    expanded: usize,
}

/// A collection that is being read.
struct Frame {
    mark: Mark,
    anchor: usize,
    items: Items,
}

enum Items {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        key: Option<Key>,
        /// Of each key so far.
        lines: HashMap<String, usize>,
    },
}

impl Items {
    fn map() -> Self {
        Self::Map { entries: Vec::new(), key: None, lines: HashMap::new() }
    }
}

/// Stands among a mapping's keys in place of a merge key, which was reported: other keys may be meant to come by it.
pub(crate) const MERGE: &str = "<<";

enum Key {
    Text(String, Mark),
    /// Reported; its value is left out.
    Unfit,
}

impl Reader {
    /// Reads to the end of `text`, whose first line is line `first_line + 1` of the file.
    fn documents(&mut self, text: &str, first_line: usize) -> Result<(), Problem> {
        let mut parser = Parser::new_from_str(text);
        let mut root = None;
        self.problems.clear();
        while let Some(event) = parser.next_event() {
            match event.map_err(|error| syntax_problem(&error, first_line))?.0 {
                Event::DocumentStart(_) => root = self.document(&mut parser, first_line)?,
                // Only now it is known that nothing but comments follows.
                Event::DocumentEnd => {
                    let problems = std::mem::take(&mut self.problems);
                    let root = root.take().filter(|root| !root.is_null());
                    self.documents.extend(root.map(|root| Document { root, problems }));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn document(&mut self, parser: &mut Parser<'_, StrInput<'_>>, first_line: usize) -> Result<Option<Node>, Problem> {
        let mut anchors: HashMap<usize, Node> = HashMap::new();
        let mut stack: Vec<Frame> = Vec::new();
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| syntax_problem(&error, first_line))?;
            let mark = mark_at(span.start, first_line);
            let (node, anchor) = match event {
                Event::DocumentEnd | Event::StreamEnd => return Ok(None),
                Event::Scalar(text, style, anchor, tag) => {
                    (self.scalar(&text, style, tag.as_deref(), span, first_line), anchor)
                }
                Event::Alias(id) => (self.alias(mark, anchors.get(&id), stack.len())?, 0),
                Event::SequenceStart(anchor, tag) => {
                    self.refuse_tag(tag.as_deref(), mark, "seq");
                    stack.push(Frame { mark, anchor, items: Items::List(Vec::new()) });
                    depth_problem(mark, stack.len())?;
                    continue;
                }
                Event::MappingStart(anchor, tag) => {
                    self.refuse_tag(tag.as_deref(), mark, "map");
                    stack.push(Frame { mark, anchor, items: Items::map() });
                    depth_problem(mark, stack.len())?;
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => {
                    let frame = stack.pop().expect("the parser ends only what it began");
                    let value = match frame.items {
                        Items::List(items) => Value::List(items),
                        Items::Map { entries, .. } => Value::Map(entries),
                    };
                    (Node { mark: frame.mark, value }, frame.anchor)
                }
                Event::Nothing | Event::StreamStart | Event::DocumentStart(_) => continue,
            };
            if anchor != 0 {
                anchors.insert(anchor, node.clone());
            }
            match stack.last_mut() {
                None => return Ok(Some(node)),
                Some(frame) => self.add(frame, node),
            }
        }
        Ok(None)
    }

    fn add(&mut self, frame: &mut Frame, node: Node) {
        let (entries, key, lines) = match &mut frame.items {
            Items::List(items) => {
                items.push(node);
                return;
            }
            Items::Map { entries, key, lines } => (entries, key, lines),
        };
        match key.take() {
            None => *key = Some(self.key(lines, node)),
            Some(Key::Unfit) => {}
            Some(Key::Text(key, mark)) => entries.push(Entry { key, mark, node }),
        }
    }

    /// Keys are text as written, whatever YAML takes the like of `on`, `1` or `null` for.
    fn key(&mut self, lines: &mut HashMap<String, usize>, node: Node) -> Key {
        let mark = node.mark;
        let (message, hint) = match node.value {
            Value::Scalar(Scalar { text, .. }) if text == MERGE => {
                let hint = "write the keys out, or give the whole value an anchor and use its alias";
                self.problem(mark, format!("merge keys (`{MERGE}`) are not supported"), Some(hint));
                return Key::Text(text, mark);
            }
            Value::Scalar(Scalar { text, .. }) if text.is_empty() => {
                ("a key is empty".to_owned(), "write a name before the `:`")
            }
            Value::Scalar(Scalar { text, .. }) => match lines.get(&text) {
                None => {
                    lines.insert(text.clone(), mark.line);
                    return Key::Text(text, mark);
                }
                Some(first) => {
                    (format!("the key `{text}` stands here twice, first in line {first}"), "keep one of them")
                }
            },
            Value::List(_) | Value::Map(_) => {
                ("a list or a mapping cannot be a key".to_owned(), "quote the text if it starts with `[`, `{` or `?`")
            }
        };
        self.problem(mark, message, Some(hint));
        Key::Unfit
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, span: Span, first_line: usize) -> Node {
        let mark = mark_at(span.start, first_line);
        let mut style = match style {
            ScalarStyle::Plain => Style::Plain,
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
            ScalarStyle::Literal => Style::Literal,
            ScalarStyle::Folded => Style::Folded,
        };
        if tag.is_some_and(|tag| tag.is_yaml_core_schema() && tag.suffix == "str") {
            style = if style == Style::Plain { Style::Quoted } else { style };
        } else {
            self.refuse_tag(tag, mark, "");
        }
        let end = mark_at(span.end, first_line);
        Node { mark, value: Value::Scalar(Scalar { text: text.to_owned(), style, end }) }
    }

    /// A copy of what was anchored.
    fn alias(&mut self, mark: Mark, anchored: Option<&Node>, depth: usize) -> Result<Node, Problem> {
        let Some(node) = anchored else {
            let message = "this alias stands inside the value that it refers to".to_owned();
            return Err(Problem { mark, message, hint: Some("write the value out".to_owned()) });
        };
        depth_problem(mark, depth + node.depth())?;
        self.expanded = self.expanded.saturating_add(node.weight());
        if self.expanded > LARGEST_EXPANSION {
            let message = "the aliases of this file make it too large".to_owned();
            return Err(Problem { mark, message, hint: Some("use fewer aliases, and none of aliases".to_owned()) });
        }
        Ok(node.clone())
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, mark: Mark, own: &str) {
        if let Some(tag) = tag
            && !(tag.is_yaml_core_schema() && tag.suffix == own)
        {
            let shown = if tag.is_yaml_core_schema() { format!("!!{}", tag.suffix) } else { tag.to_string() };
            self.problem(mark, format!("the YAML tag `{shown}` is not supported"), Some("leave the tag out"));
        }
    }

    fn problem(&mut self, mark: Mark, message: String, hint: Option<&str>) {
        self.problems.push(Problem { mark, message, hint: hint.map(str::to_owned) });
    }
}

impl Node {
    /// No value, `~` or `null`.
    pub(crate) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.is_null())
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            Value::Scalar(_) | Value::List(_) => None,
        }
    }

    fn children(&self) -> impl Iterator<Item = &Node> {
        let (list, map): (&[Node], &[Entry]) = match &self.value {
            Value::Scalar(_) => (&[], &[]),
            Value::List(items) => (items, &[]),
            Value::Map(entries) => (&[], entries),
        };
        list.iter().chain(map.iter().map(|entry| &entry.node))
    }

    fn depth(&self) -> usize {
        1 + self.children().map(Node::depth).max().unwrap_or(0)
    }

    /// About the bytes that it takes.
    fn weight(&self) -> usize {
        let own = match &self.value {
            Value::Scalar(scalar) => scalar.text.len(),
            Value::List(_) => 0,
            Value::Map(entries) => entries.iter().map(|entry| entry.key.len()).sum(),
        };
        128 + own + self.children().map(Node::weight).sum::<usize>()
    }
}

impl Scalar {
    pub(crate) fn is_null(&self) -> bool {
        self.style == Style::Plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    /// `None` where YAML does not take it for a boolean.
    pub(crate) fn boolean(&self) -> Option<bool> {
        match self.text.as_str() {
            _ if self.style != Style::Plain => None,
            "true" | "True" | "TRUE" => Some(true),
            "false" | "False" | "FALSE" => Some(false),
            _ => None,
        }
    }

    /// Whether YAML 1.2's core schema takes it for a number (<https://yaml.org/spec/1.2.2/#1032-tag-resolution>).
    pub(crate) fn is_number(&self) -> bool {
        if self.style != Style::Plain {
            return false;
        }
        let text = self.text.as_str();
        if let Some(digits) = text.strip_prefix("0x") {
            return !digits.is_empty() && digits.chars().all(|c| c.is_ascii_hexdigit());
        }
        if let Some(digits) = text.strip_prefix("0o") {
            return !digits.is_empty() && digits.chars().all(|c| ('0'..='7').contains(&c));
        }
        if matches!(text, ".nan" | ".NaN" | ".NAN") {
            return true;
        }
        let text = text.strip_prefix(['-', '+']).unwrap_or(text);
        matches!(text, ".inf" | ".Inf" | ".INF") || is_decimal(text)
    }
}

/// `12`, `1.5`, `.5`, `1.`, `1e3`, without a sign.
fn is_decimal(text: &str) -> bool {
    let all_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        None => (text, None),
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    all_digits(whole)
        && all_digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|digits| !digits.is_empty() && all_digits(digits))
}

fn mark_at(marker: saphyr_parser::Marker, first_line: usize) -> Mark {
    Mark { line: marker.line() + first_line, column: marker.col() + 1 }
}

fn depth_problem(mark: Mark, depth: usize) -> Result<(), Problem> {
    if depth <= DEEPEST {
        return Ok(());
    }
    Err(Problem { mark, message: format!("nested more than {DEEPEST} levels deep"), hint: None })
}

/// YAML allows none, and the parser takes NUL for the end of the file.
fn control_character(text: &str) -> Option<Problem> {
    let unfit = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{85}');
    let (line, found) = lines(text).enumerate().find(|(_, line)| line.contains(unfit))?;
    let column = found.chars().position(unfit)?;
    let character = found.chars().nth(column)?;
    Some(Problem {
        mark: Mark { line: line + 1, column: column + 1 },
        message: format!("the control character U+{:04X} is not allowed in YAML", u32::from(character)),
        hint: Some("is this a text file in UTF-8? write the character as an escape in double quotes".to_owned()),
    })
}

/// Where the next line from `line` on (from 1), but not the first, that starts with `---` is: lines before it, and its
/// offset. The error may be marked at that line, where something before it is not closed.
fn next_document(text: &str, line: usize) -> Option<(usize, usize)> {
    let start = text.as_ptr() as usize;
    let (before, found) = lines(text).enumerate().skip(line.saturating_sub(1).max(1)).find(|(_, line)| {
        line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
    })?;
    Some((before, found.as_ptr() as usize - start))
}

/// The parser marks what follows the tab that it complains of.
fn at_the_tab(problem: Problem, text: &str) -> Problem {
    let line = lines(text).nth(problem.mark.line - 1).unwrap_or_default();
    let indent = &line[..line.len() - line.trim_start().len()];
    match indent.chars().position(|c| c == '\t') {
        Some(column) if problem.message.contains("tab") => {
            Problem { mark: Mark { column: column + 1, ..problem.mark }, ..problem }
        }
        _ => problem,
    }
}

fn syntax_problem(error: &ScanError, first_line: usize) -> Problem {
    let info = error.info();
    let hint = SYNTAX_HINTS.iter().find(|(part, _)| info.contains(part)).map(|(_, hint)| (*hint).to_owned());
    Problem { mark: mark_at(*error.marker(), first_line), message: format!("not valid YAML: {info}"), hint }
}

/// A part of the parser's message, and what to do about it.
const SYNTAX_HINTS: [(&str, &str); 18] = [
    ("expected node content", "is a value missing, or a bracket not closed?"),
    ("found a tab", "indent with spaces"),
    ("tab cannot be used", "indent with spaces"),
    ("tabs disallowed", "indent with spaces"),
    ("cannot start with a tab", "indent with spaces"),
    (
        "mapping values are not allowed",
        "text with `: ` in it needs quotes, SQL a block: `sql: |`; or a line before is wrongly indented",
    ),
    ("unexpected end of stream", "a quote is not closed"),
    ("unknown anchor", "define the anchor (`&name`) before its alias, or quote text that starts with `*`"),
    ("simple key expect", "write `key: value`; is a `:` missing, or a space behind it?"),
    ("did not find expected key", "is this line indented as the keys before it?"),
    ("expected ',' or", "is a bracket not closed, or a comma missing?"),
    ("recursion limit", "nested too deeply"),
    ("unexpected character", "quote text that starts with this character"),
    ("invalid indentation in quoted", "is a quote not closed?"),
    ("illegal placement of ':'", "is a bracket not closed?"),
    ("trailing content after", "write a quote within single quotes twice: `'it''s'`"),
    ("unknown escape", "write a backslash twice within double quotes, or use single quotes"),
    ("expected '-' indicator", "is this line indented as the items before it?"),
];

#[cfg(test)]
mod tests;
