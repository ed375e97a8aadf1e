//! Where CSV records end: at a line end outside of quotes.

use manade_model::CsvOptions;
use serde::{Deserialize, Serialize};

use super::Next;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum CellScan {
    /// A quote here opens a quoted cell; elsewhere it is text.
    #[default]
    Start,
    Plain,
    Quoted,
    /// Behind a quote in a quoted cell: its end, or the first of two.
    Quote,
}

impl CellScan {
    pub fn next(&mut self, bytes: &[u8], from: usize, options: &CsvOptions) -> Next {
        let mut i = from;
        while let Some(c) = bytes.get(i).copied() {
            match self {
                CellScan::Quoted => match memchr::memchr(options.quote, &bytes[i..]) {
                    Some(at) => {
                        *self = CellScan::Quote;
                        i += at + 1;
                    }
                    None => return Next::More,
                },
                CellScan::Start | CellScan::Quote if c == options.quote => {
                    *self = CellScan::Quoted;
                    i += 1;
                }
                CellScan::Start | CellScan::Quote | CellScan::Plain => {
                    *self = CellScan::Plain;
                    let Some(at) = memchr::memchr2(options.delimiter, b'\n', &bytes[i..]) else { return Next::More };
                    i += at + 1;
                    *self = CellScan::Start;
                    if bytes[i - 1] == b'\n' {
                        return Next::End(i);
                    }
                }
            }
        }
        Next::More
    }
}

/// The names in a header line; none for a blank line.
pub(super) fn header(line: &[u8], options: &CsvOptions) -> Result<Vec<String>, String> {
    let text = simdutf8::basic::from_utf8(line).map_err(|_| "the header is not valid UTF-8".to_owned())?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Ok(Vec::new()) } else { crate::decoder::csv_cells(text, options) }
}
