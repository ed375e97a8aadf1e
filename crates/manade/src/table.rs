//! Rows as aligned columns of text.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

#[cfg(test)]
mod tests;

/// Spaces between columns.
const GAP: usize = 2;
/// A column is not made narrower than this to fit a terminal.
const NARROWEST: usize = 8;

#[derive(Debug, Clone, Default)]
pub struct Cell {
    text: String,
    is_right: bool,
}

/// A heading and rows of as many cells.
#[derive(Debug, Default)]
pub struct Table {
    heading: Vec<String>,
    rows: Vec<Vec<Cell>>,
}

/// A JSON object's members in their order, each value's text as it was served: no digit is lost.
pub struct Members(pub Vec<(String, Box<RawValue>)>);

impl Cell {
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: printable(&text.into()).into_owned(), is_right: false }
    }

    pub fn number(number: impl ToString) -> Self {
        Self { text: number.to_string(), is_right: true }
    }

    /// JSON: null is blank, a number stands on the right, what is nested is shown as it is.
    pub fn json(value: &RawValue) -> Self {
        let raw = value.get();
        match raw.as_bytes().first() {
            Some(b'n') => Self::default(),
            Some(b'"') => Self::text(serde_json::from_str::<String>(raw).unwrap_or_else(|_| raw.to_owned())),
            Some(b'-' | b'0'..=b'9') => Self::number(raw),
            _ => Self::text(raw),
        }
    }
}

impl Table {
    pub fn new(heading: &[&str]) -> Self {
        Self { heading: heading.iter().map(ToString::to_string).collect(), rows: Vec::new() }
    }

    /// `None` where there are no rows, whose members name the columns.
    pub fn of_rows(rows: &[Members]) -> Option<Self> {
        let first = rows.first()?;
        let heading = first.0.iter().map(|(name, _)| printable(name).into_owned()).collect();
        let cells = |row: &Members| row.0.iter().map(|(_, value)| Cell::json(value)).collect();
        Some(Self { heading, rows: rows.iter().map(cells).collect() })
    }

    pub fn push(&mut self, row: Vec<Cell>) {
        debug_assert_eq!(row.len(), self.heading.len(), "a cell a column");
        self.rows.push(row);
    }

    /// Lines of at most `width` columns, where one is given.
    pub fn render(&self, width: Option<usize>) -> String {
        let widths = self.widths(width);
        // A heading stands over its numbers.
        let heading = self.heading.iter().enumerate().map(|(column, text)| {
            let mut shown = self.rows.iter().filter_map(|row| row.get(column)).filter(|cell| !cell.text.is_empty());
            Cell { text: text.clone(), is_right: shown.next().is_some_and(|cell| cell.is_right) }
        });
        let mut out = String::new();
        for row in std::iter::once(heading.collect::<Vec<_>>()).chain(self.rows.iter().cloned()) {
            let line = line(&row, &widths);
            match width {
                Some(width) => out.push_str(&cut(&line, width)),
                None => out.push_str(&line),
            }
            out.push('\n');
        }
        out
    }

    /// The widest columns give way where the table is too wide.
    fn widths(&self, limit: Option<usize>) -> Vec<usize> {
        let mut widths: Vec<usize> = self.heading.iter().map(|text| text.width()).collect();
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.text.width());
            }
        }
        let Some(limit) = limit else { return widths };
        let mut total = widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1);
        while total > limit {
            let Some(widest) = widths.iter_mut().max().filter(|width| **width > NARROWEST) else { break };
            *widest -= 1;
            total -= 1;
        }
        widths
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(Members(members))
    }
}

/// At most `width` columns of a text; what is cut off shows as `…`.
pub fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if text.width() <= width {
        return Cow::Borrowed(text);
    }
    let (mut out, mut used) = (String::new(), 0);
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used >= width {
            break;
        }
        out.push(c);
    }
    if width > 0 {
        out.push('…');
    }
    Cow::Owned(out)
}

fn line(row: &[Cell], widths: &[usize]) -> String {
    let mut out = String::new();
    for (at, (cell, width)) in row.iter().zip(widths).enumerate() {
        let text = cut(&cell.text, *width);
        let blank = " ".repeat(width - text.width());
        let gap = if at == 0 { "" } else { "  " };
        let _ = if cell.is_right { write!(out, "{gap}{blank}{text}") } else { write!(out, "{gap}{text}{blank}") };
    }
    out.truncate(out.trim_end().len());
    out
}

/// Control characters would break lines, or tell the terminal what to do.
fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() });
    Cow::Owned(shown.collect())
}
