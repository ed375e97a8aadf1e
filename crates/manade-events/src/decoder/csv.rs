//! CSV records (RFC 4180) to columns.

use std::borrow::Cow;

use manade_model::CsvOptions;

use super::Decoder;
use super::column::Structs;
use super::convert::Sink;
use super::slow::complain;

/// How the cells of one header go to the columns.
pub(crate) struct Reader {
    /// For each cell the member that it is, if it is read.
    cells: Vec<Option<usize>>,
    /// Why no record can be read.
    unreadable: Option<String>,
    options: CsvOptions,
}

/// A cell and where it stands literally in the record.
struct Cell<'a> {
    text: Cow<'a, str>,
    at: Option<usize>,
}

impl Reader {
    /// `header`: `None` for the schema's order.
    pub fn new(decoder: &Decoder, header: Option<&[String]>, options: &CsvOptions) -> Self {
        let names = header.unwrap_or(&decoder.order);
        let names: Vec<String> = names.iter().enumerate().map(|(index, name)| column_name(name, index)).collect();
        let mut cells: Vec<Option<usize>> =
            names.iter().map(|name| decoder.members.position(&name.to_lowercase())).collect();
        let known = |name: &String| decoder.order.iter().any(|column| column.to_lowercase() == name.to_lowercase());
        let foreign = header.is_some() && !names.iter().any(known);
        let mut unreadable = foreign.then(|| {
            let names: Vec<&str> = names.iter().take(5).map(String::as_str).collect();
            format!("the header has none of the schema's columns, but `{}`; is `delimiter` right?", names.join("`, `"))
        });
        for (index, member) in decoder.members.list.iter().enumerate() {
            let alike: Vec<usize> = (0..cells.len()).filter(|cell| cells[*cell] == Some(index)).collect();
            let exact: Vec<usize> = alike.iter().copied().filter(|cell| names[*cell] == member.key).collect();
            // Where names differ only in case, the one that is written like the schema's is meant.
            let meant = if exact.is_empty() { &alike } else { &exact };
            if let [_, second, ..] = meant.as_slice() {
                unreadable.get_or_insert_with(|| format!("the header has the column `{}` twice", names[*second]));
            }
            for cell in alike.iter().filter(|cell| !meant.contains(cell)) {
                cells[*cell] = None;
            }
        }
        Self { cells, unreadable, options: options.clone() }
    }

    /// One record as a row of `row`, or the reason why it is none; then a half-written row is left behind.
    pub fn read(&self, text: &str, base: u32, row: &mut Structs, sink: &mut Sink) -> Result<(), String> {
        if let Some(reason) = &self.unreadable {
            return Err(reason.clone());
        }
        let mut next = Some(0);
        let mut count = 0;
        while let Some(start) = next {
            let (cell, end) = cell(&self.options, text, start)?;
            next = (end < text.len()).then_some(end + 1);
            if let Some(Some(member)) = self.cells.get(count) {
                let column = &mut row.columns[*member];
                if cell.text.is_empty() {
                    column.push_null();
                } else {
                    let at = cell.at.map(|at| base + at as u32);
                    let pushed = column.push_cell(&cell.text, at, sink);
                    let member = &row.members.list[*member];
                    pushed
                        .map_err(|unfit| complain(&member.key, &format!("\"{}\"", cell.text), &member.shape, unfit))?;
                }
            }
            count += 1;
        }
        if count != self.cells.len() {
            return Err(wrong_width(count, self.cells.len()));
        }
        row.end_row();
        Ok(())
    }
}

/// What a column of a header is called; one without a name as Spark names it.
pub fn column_name(header: &str, index: usize) -> String {
    let name = header.trim();
    if name.is_empty() { format!("_c{index}") } else { name.to_owned() }
}

/// The cells of a record without its line end.
pub(crate) fn cells(text: &str, options: &CsvOptions) -> Result<Vec<String>, String> {
    let mut cells = Vec::new();
    let mut next = Some(0);
    while let Some(start) = next {
        let (cell, end) = cell(options, text, start)?;
        next = (end < text.len()).then_some(end + 1);
        cells.push(cell.text.into_owned());
    }
    Ok(cells)
}

/// The cell from `start`, and where its delimiter stands, or the end.
fn cell<'a>(options: &CsvOptions, text: &'a str, start: usize) -> Result<(Cell<'a>, usize), String> {
    let b = text.as_bytes();
    if b.get(start) != Some(&options.quote) {
        let end = memchr::memchr(options.delimiter, &b[start..]).map_or(b.len(), |at| start + at);
        return Ok((Cell { text: Cow::Borrowed(&text[start..end]), at: Some(start) }, end));
    }
    let open = start + 1;
    let mut quoted = String::new();
    let mut from = open;
    loop {
        let Some(at) = memchr::memchr(options.quote, &b[from..]) else {
            return Err("a quoted cell does not end".to_owned());
        };
        let close = from + at;
        if b.get(close + 1) == Some(&options.quote) {
            quoted.push_str(&text[from..=close]);
            from = close + 2;
            continue;
        }
        if close + 1 < b.len() && b[close + 1] != options.delimiter {
            return Err("text behind the closing quote of a cell".to_owned());
        }
        let cell = if from == open {
            Cell { text: Cow::Borrowed(&text[open..close]), at: Some(open) }
        } else {
            quoted.push_str(&text[from..close]);
            Cell { text: Cow::Owned(quoted), at: None }
        };
        return Ok((cell, close + 1));
    }
}

/// Why a record is none of the file's.
pub fn wrong_width(cells: usize, expected: usize) -> String {
    let plural = if cells == 1 { "" } else { "s" };
    let are = if expected == 1 { "is" } else { "are" };
    format!("{cells} cell{plural} where {expected} {are} expected")
}
