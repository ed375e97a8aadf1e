//! The complete way: a parsed event to columns, with a reason where that fails.

use std::collections::HashSet;
use std::fmt::{self, Write as _};

use super::column::{Column, Structs};
use super::convert::{Sink, Unfit};
use super::shape::{Members, Shape};
use crate::json::{Kind, Value, parse_event};
use crate::scan::Fault;

/// Characters of a value that a reason shows.
const SHOWN: usize = 60;

/// Where in the event a value stands.
struct Path<'a> {
    around: Option<&'a Path<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Member(&'a str),
    Element(usize),
    Entry(&'a str),
}

struct Reader<'a> {
    text: &'a str,
    base: u32,
    sink: &'a mut Sink,
}

/// One event as a row of `row`, or the reason why it is none; then a half-written row is left behind.
pub(crate) fn read(text: &str, base: u32, row: &mut Structs, sink: &mut Sink) -> Result<(), String> {
    let event = parse_event(text).map_err(|fault| describe(&fault, text))?;
    let Kind::Object(list) = &event.kind else { return Err("not a JSON object".to_owned()) };
    Reader { text, base, sink }.members(row, list, None)
}

/// `text behind the event, at byte 12`, counted from 1.
pub(crate) fn describe(fault: &Fault, text: &str) -> String {
    let at = fault.at.min(text.len());
    let column = text.get(..at).map_or(at, |before| before.chars().count()) + 1;
    format!("{} (column {column})", fault.what)
}

impl Reader<'_> {
    fn members(
        &mut self,
        structs: &mut Structs,
        list: &[(std::borrow::Cow<'_, str>, Value<'_>)],
        around: Option<&Path<'_>>,
    ) -> Result<(), String> {
        let members = structs.members.clone();
        for (member, value) in last_of_each(&members, list) {
            let shape = &members.list[member].shape;
            let step = Step::Member(&members.list[member].key);
            self.value(&mut structs.columns[member], value, shape, &Path { around, step })?;
        }
        structs.end_row();
        Ok(())
    }

    fn value(&mut self, column: &mut Column, value: &Value<'_>, shape: &Shape, path: &Path<'_>) -> Result<(), String> {
        let at = Some(self.base + value.span.start as u32);
        let unfit = match (&value.kind, &mut *column, shape) {
            (Kind::Null, ..) => {
                column.push_null();
                Ok(())
            }
            (Kind::Array(elements), Column::Array(lists), Shape::Array(inner)) => {
                for (index, element) in elements.iter().enumerate() {
                    let path = Path { around: Some(path), step: Step::Element(index) };
                    self.value(&mut lists.elements, element, inner, &path)?;
                }
                lists.end_row();
                Ok(())
            }
            (Kind::Object(list), Column::Struct(structs), _) => return self.members(structs, list, Some(path)),
            (Kind::Object(list), Column::Map(maps), Shape::Map(inner)) => {
                for (key, value) in last_entries(list) {
                    maps.keys.push(self.sink.text(key, None));
                    let path = Path { around: Some(path), step: Step::Entry(key) };
                    self.value(&mut maps.values, value, inner, &path)?;
                }
                maps.end_row();
                Ok(())
            }
            (Kind::Array(_) | Kind::Object(_), Column::String(plain), _) => {
                plain.push(self.sink.text(&self.text[value.span.clone()], at));
                Ok(())
            }
            (Kind::Array(_) | Kind::Object(_), ..) => Err(Unfit::Type),
            (Kind::Number(raw), ..) => column.push_number(raw, at, self.sink),
            (Kind::Bool(value), ..) => column.push_bool(*value, at, self.sink),
            (Kind::String(text), ..) => {
                let at =
                    matches!(text, std::borrow::Cow::Borrowed(_)).then_some(self.base + value.span.start as u32 + 1);
                column.push_text(text, at, self.sink)
            }
        };
        unfit.map_err(|unfit| complain(&path, &self.text[value.span.clone()], shape, unfit))
    }
}

/// `field a.b: "x" is not an int`.
pub(crate) fn complain(path: &impl fmt::Display, raw: &str, shape: &dyn fmt::Display, unfit: Unfit) -> String {
    let mut reason = format!("field {path}: ");
    for c in raw.chars().take(SHOWN) {
        reason.push(if c.is_control() { ' ' } else { c });
    }
    if raw.chars().nth(SHOWN).is_some() {
        reason.push('…');
    }
    let written = match unfit {
        Unfit::Type => write!(reason, " is not {shape}"),
        Unfit::Range => write!(reason, " is out of range for {shape}"),
        Unfit::NoNumber => write!(reason, " is a number, not {shape}: write it as 2001-01-31"),
        Unfit::NeedsEpoch => {
            write!(
                reason,
                " is a number: {shape} needs the format epoch_seconds, epoch_millis or epoch_micros for that"
            )
        }
    };
    written.expect("writing to a string does not fail");
    reason
}

/// The members that are read, in the schema's order; of duplicates the last.
fn last_of_each<'a>(
    members: &Members,
    list: &'a [(std::borrow::Cow<'a, str>, Value<'a>)],
) -> Vec<(usize, &'a Value<'a>)> {
    let mut last = vec![None; members.list.len()];
    for (key, value) in list {
        if let Some(member) = members.by_key.get(key.as_bytes()) {
            last[*member] = Some(value);
        }
    }
    last.into_iter().enumerate().filter_map(|(member, value)| value.map(|value| (member, value))).collect()
}

/// Of duplicate keys the last, at the place of the last.
fn last_entries<'a>(list: &'a [(std::borrow::Cow<'a, str>, Value<'a>)]) -> Vec<(&'a str, &'a Value<'a>)> {
    let mut seen = HashSet::new();
    let mut entries: Vec<_> =
        list.iter().rev().filter(|(key, _)| seen.insert(&**key)).map(|(key, value)| (&**key, value)).collect();
    entries.reverse();
    entries
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(around) = self.around {
            around.fmt(f)?;
        }
        match self.step {
            Step::Member(name) if self.around.is_some() => write!(f, ".{name}"),
            Step::Member(name) => f.write_str(name),
            Step::Element(index) => write!(f, "[{index}]"),
            Step::Entry(key) => write!(f, "[\"{}\"]", key.chars().take(SHOWN).collect::<String>()),
        }
    }
}
