//! Elements of a JSON document: an array, or one object. Only brackets and strings are looked at; whether an element is
//! JSON is the decoder's question.

use serde::{Deserialize, Serialize};

use super::{End, Next};
use crate::scan::{byte, plain_end, skip_space};

/// Where in the document the scan stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum DocumentScan {
    #[default]
    Start,
    /// Behind the opening bracket.
    First,
    /// In an element; `alone`: of a document that is one object.
    In {
        depth: u32,
        string: bool,
        escape: bool,
        alone: bool,
    },
    /// Behind an element, before its comma.
    After,
    /// Behind a comma.
    Comma,
    Done,
    Broken,
}

impl DocumentScan {
    /// A record ends before its comma; the next one starts with it.
    pub fn next(&mut self, bytes: &[u8], from: usize, last: End) -> Next {
        let mut i = from;
        loop {
            if matches!(*self, DocumentScan::In { .. }) {
                return self.element(bytes, i, last);
            }
            if *self == DocumentScan::Broken {
                return if i < bytes.len() { Next::Nothing(bytes.len()) } else { Next::More };
            }
            i = skip_space(bytes, i);
            let Some(c) = bytes.get(i).copied() else { return self.at_end(bytes, from, last) };
            match (*self, c) {
                (DocumentScan::Start, b'[') => {
                    *self = DocumentScan::First;
                    return Next::Nothing(i + 1);
                }
                (DocumentScan::Start, b'{') => *self = DocumentScan::inside(true),
                (DocumentScan::Start, _) => return self.broken("a JSON document is an array of objects, or an object"),
                (DocumentScan::First | DocumentScan::After, b']') => {
                    *self = DocumentScan::Done;
                    return Next::Nothing(i + 1);
                }
                (DocumentScan::After, b',') => {
                    *self = DocumentScan::Comma;
                    i += 1;
                }
                (DocumentScan::First | DocumentScan::Comma, b',' | b']') => {
                    return self.broken("an element of the array is missing");
                }
                (DocumentScan::First | DocumentScan::Comma, _) => {
                    *self = DocumentScan::inside(false);
                }
                (DocumentScan::Done, _) => {
                    return self.broken("text behind the document; one object a line is the format ndjson");
                }
                _ => return self.broken("a comma or the end of the array is missing"),
            }
        }
    }

    fn inside(alone: bool) -> Self {
        DocumentScan::In { depth: 0, string: false, escape: false, alone }
    }

    fn element(&mut self, bytes: &[u8], from: usize, last: End) -> Next {
        let DocumentScan::In { mut depth, mut string, mut escape, alone } = *self else { return Next::More };
        let mut i = from;
        while i < bytes.len() {
            if escape {
                escape = false;
                i += 1;
                continue;
            }
            if string {
                i = plain_end(bytes, i);
                match byte(bytes, i) {
                    b'"' => string = false,
                    b'\\' => escape = true,
                    _ => {}
                }
                i += 1;
                continue;
            }
            match bytes[i] {
                b'"' => string = true,
                b'{' | b'[' => depth += 1,
                b',' | b']' if depth == 0 => {
                    *self = DocumentScan::After;
                    return Next::End(i);
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    if depth == 0 && alone {
                        *self = DocumentScan::Done;
                        return Next::End(i + 1);
                    }
                }
                _ => {}
            }
            i += 1;
        }
        if last == End::Input {
            return self.broken("the document ends within an element");
        }
        if last == End::Cut && depth == 0 && !string && from < i {
            *self = DocumentScan::After;
            return Next::End(i);
        }
        *self = DocumentScan::In { depth, string, escape, alone };
        Next::More
    }

    fn at_end(&mut self, bytes: &[u8], from: usize, last: End) -> Next {
        let between = matches!(self, DocumentScan::Start | DocumentScan::Done);
        if last == End::Input && !between {
            return self.broken("the document ends before its closing bracket");
        }
        if between && from < bytes.len() { Next::Nothing(bytes.len()) } else { Next::More }
    }

    fn broken(&mut self, reason: &'static str) -> Next {
        *self = DocumentScan::Broken;
        Next::Error(reason)
    }
}
