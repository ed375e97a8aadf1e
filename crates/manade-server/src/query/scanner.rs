//! Characters of a parameter: names, paths, quoted text.

use super::{Field, Step};

/// Reads from the front of a text. Methods that give an `Option` have read nothing that matters when they give `None`:
/// the caller reports the whole parameter.
pub struct Scanner<'a> {
    rest: &'a str,
}

impl<'a> Scanner<'a> {
    pub fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    pub fn rest(&self) -> &'a str {
        self.rest
    }

    pub fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Reads `text` where it comes next.
    pub fn eat(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    pub fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !keep(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// `"text"` in which a backslash takes the next character as it is.
    pub fn quoted(&mut self) -> Option<String> {
        let mut chars = self.rest.strip_prefix('"')?.char_indices();
        let mut text = String::new();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 2..];
                    return Some(text);
                }
                '\\' => text.push(chars.next()?.1),
                _ => text.push(c),
            }
        }
        None
    }

    /// A column's name: quoted, or one of `columns` where it is followed by what may follow a name, or up to the next
    /// character with a meaning.
    pub fn name(&mut self, columns: &[&str]) -> Option<String> {
        if self.peek() == Some('"') {
            return self.quoted();
        }
        let known = columns.iter().filter(|name| {
            self.rest
                .strip_prefix(**name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with([',', '.', ')', ':']) || rest.starts_with("->"))
        });
        if let Some(name) = known.max_by_key(|name| name.len()) {
            self.rest = &self.rest[name.len()..];
            return Some((*name).to_owned());
        }
        let mut end = self.rest.len();
        for (at, c) in self.rest.char_indices() {
            let arrow = c == '-' && self.rest[at..].starts_with("->");
            if arrow || matches!(c, ',' | '.' | '(' | ')' | ':' | '!' | '"' | '*' | '{' | '}') {
                end = at;
                break;
            }
        }
        let name = self.rest[..end].trim();
        if name.is_empty() {
            return None;
        }
        self.rest = &self.rest[end..];
        Some(name.to_owned())
    }

    /// A name and the path under it.
    pub fn field(&mut self, columns: &[&str]) -> Option<Field> {
        let name = self.name(columns)?;
        let (mut path, mut text) = (Vec::new(), false);
        while self.rest.starts_with("->") {
            if text {
                return None;
            }
            text = self.eat("->>");
            if !text {
                self.eat("->");
            }
            path.push(self.step()?);
        }
        Some(Field { name, path, text })
    }

    fn step(&mut self) -> Option<Step> {
        let digits = self.rest.strip_prefix('-').unwrap_or(self.rest);
        if digits.starts_with(|c: char| c.is_ascii_digit()) {
            let negative = self.eat("-");
            let index: i64 = self.take_while(|c| c.is_ascii_digit()).parse().ok()?;
            return Some(Step::Index(if negative { -index } else { index }));
        }
        self.name(&[]).map(Step::Key)
    }
}
