//! Plain values: text, numbers, words, durations, types.

use super::{Got, Owner, Reading, example, wanted};
use crate::pipeline::Name;
use crate::shape::{Kind, Written};
use crate::yaml::{Mark, Node, Scalar, Style};
use crate::{ddl, units};

const NAME_HINT: &str = "use lower-case letters, digits, `_` and `-`, a letter first";

impl<'a> Reading<'a> {
    pub(super) fn scalar(&mut self, node: &Node, scalar: &'a Scalar, kind: Kind, owner: Owner<'_>) -> Option<Got<'a>> {
        let mark = node.mark;
        if scalar.is_null() {
            let hint = match kind {
                Kind::Object(shape) if shape.keys.iter().all(|key| !key.required) && shape.written == Written::Any => {
                    Some(format!("write `{}: {{}}`, or leave the key out", owner.name))
                }
                kind => example(kind).or_else(|| Some("write a value, or leave the key out".to_owned())),
            };
            self.error(owner.mark, format!("{owner} has no value"), hint);
            return None;
        }
        match kind {
            Kind::Flag => self.flag(mark, scalar, owner),
            Kind::Count => self.count(mark, scalar, owner),
            Kind::Duration | Kind::Size | Kind::Bound => self.quantity(mark, scalar, kind, owner),
            // Its text may be a secret.
            Kind::Object(shape) if shape.name == "Secret" => {
                self.error(mark, format!("{owner} stands in the file itself"), example(kind));
                None
            }
            Kind::Row | Kind::List(..) | Kind::Map(_) | Kind::Object(_) => {
                let message = format!("{owner} expects {}, found {}", wanted(kind), shown(scalar));
                self.error(mark, message, example(kind));
                None
            }
            _ => self.words(mark, scalar, kind, owner),
        }
    }

    /// What is text for YAML.
    fn words(&mut self, mark: Mark, scalar: &'a Scalar, kind: Kind, owner: Owner<'_>) -> Option<Got<'a>> {
        // A lone digit is a name's or a delimiter's matter, not one of types.
        if scalar.boolean().is_some() || scalar.is_number() {
            let message = format!("{owner} expects {}, found {}", wanted(kind), shown(scalar));
            let hint = match kind {
                Kind::Choice(_) | Kind::Type | Kind::TypeOrOuter | Kind::Columns | Kind::Sql => example(kind),
                Kind::Name => Some(NAME_HINT.to_owned()),
                _ => Some(format!("quote it: `\"{}\"`", scalar.text)),
            };
            self.error(mark, message, hint);
            return None;
        }
        let text = scalar.text.as_str();
        if text.trim().is_empty() && !matches!(kind, Kind::Character) {
            self.error(mark, format!("{owner} is empty"), Some(format!("write {}", wanted(kind))));
            return None;
        }
        match kind {
            Kind::Text => Some(Got::Text(text)),
            Kind::Name => self.name(mark, text, owner),
            Kind::Path => self.path(mark, text).map(Got::Text),
            Kind::Sql => Some(Got::Sql(self.sql(mark, scalar))),
            Kind::Character => self.character(mark, text, owner),
            Kind::Choice(words) => self.choice(mark, text, words, owner),
            Kind::TypeOrOuter if outer(text).is_some() => outer(text).map(Got::Choice),
            Kind::Type | Kind::TypeOrOuter => self.ddl(mark, scalar, ddl::parse_type(text)).map(Got::Type),
            Kind::Columns => self.ddl(mark, scalar, ddl::parse_fields(text)).map(Got::Columns),
            _ => None,
        }
    }

    fn flag(&mut self, mark: Mark, scalar: &Scalar, owner: Owner<'_>) -> Option<Got<'a>> {
        if let Some(flag) = scalar.boolean() {
            return Some(Got::Flag(flag));
        }
        let hint = match scalar.text.to_lowercase().as_str() {
            "true" | "yes" | "on" | "y" | "1" => Some("write `true`, without quotes"),
            "false" | "no" | "off" | "n" | "0" => Some("write `false`, without quotes"),
            _ => None,
        };
        let message = format!("{owner} expects true or false, found {}", shown(scalar));
        self.error(mark, message, hint.map(str::to_owned));
        None
    }

    fn count(&mut self, mark: Mark, scalar: &Scalar, owner: Owner<'_>) -> Option<Got<'a>> {
        let digits: String = scalar.text.chars().filter(|c| !matches!(c, '_' | ',' | '\'')).collect();
        let number = digits.parse::<u64>().ok();
        if let Some(number) = number.filter(|number| *number >= 1)
            && scalar.is_number()
        {
            return Some(Got::Count(number));
        }
        let hint = match number {
            Some(number) if number >= 1 => format!("write {number}"),
            _ => "write a whole number from 1".to_owned(),
        };
        self.error(mark, format!("{owner} expects a whole number, found {}", shown(scalar)), Some(hint));
        None
    }

    fn quantity(&mut self, mark: Mark, scalar: &Scalar, kind: Kind, owner: Owner<'_>) -> Option<Got<'a>> {
        let text = scalar.text.as_str();
        let is_size = match kind {
            Kind::Duration => false,
            Kind::Size => true,
            _ => units::is_size_like(text),
        };
        // A number alone could be days or bytes.
        if matches!(kind, Kind::Bound) && text.trim().parse::<f64>().is_ok() {
            self.error(mark, format!("{owner} has no unit: `{text}`"), example(kind));
            return None;
        }
        let parsed = if is_size {
            units::parse_size(text).map(Got::Size)
        } else {
            units::parse_duration(text).map(Got::Duration)
        };
        let got = parsed.map_err(|error| self.error(mark, format!("{owner}: {}", error.message), error.hint)).ok()?;
        // Only lateness may be nothing.
        let is_nothing = matches!(got, Got::Size(0)) || matches!(got, Got::Duration(time) if time.is_zero());
        if is_nothing && owner.name != "lateness" {
            self.error(mark, format!("{owner} must be more than 0"), example(kind));
            return None;
        }
        Some(got)
    }

    fn name(&mut self, mark: Mark, text: &str, owner: Owner<'_>) -> Option<Got<'a>> {
        if let Some(name) = Name::new(text) {
            return Some(Got::Name(name));
        }
        let hint = match fitting_name(text) {
            Some(name) => format!("write `{name}`"),
            None => NAME_HINT.to_owned(),
        };
        let message = if text.chars().count() > 63 {
            format!("{owner} is longer than 63 characters")
        } else {
            format!("`{text}` is not a valid name")
        };
        self.error(mark, message, Some(hint));
        None
    }

    fn path(&mut self, mark: Mark, text: &'a str) -> Option<&'a str> {
        let (message, hint) = if let Some((scheme, _)) = text.split_once("://") {
            (format!("`{scheme}://` is not a local path"), "write a file, folder or glob on this machine")
        } else if text.starts_with("~/") {
            ("`~` is not expanded in a path".to_owned(), "write the whole path, or one relative to this file")
        } else {
            return Some(text);
        };
        self.error(mark, message, Some(hint.to_owned()));
        None
    }

    fn character(&mut self, mark: Mark, text: &str, owner: Owner<'_>) -> Option<Got<'a>> {
        let text = if text == "\\t" { "\t" } else { text };
        match text.as_bytes() {
            [byte] if byte.is_ascii_punctuation() || matches!(byte, b' ' | b'\t') => Some(Got::Character(*byte)),
            _ => {
                let message = format!("{owner} expects one ASCII character that is no letter or digit, found `{text}`");
                self.error(mark, message, Some("write it like `\";\"`, a tab as `\"\\t\"`".to_owned()));
                None
            }
        }
    }

    fn choice(&mut self, mark: Mark, text: &str, words: &'static [(&str, &str)], owner: Owner<'_>) -> Option<Got<'a>> {
        if let Some((word, _)) = words.iter().find(|(word, _)| *word == text) {
            return Some(Got::Choice(word));
        }
        let is_lines = matches!(text.to_lowercase().as_str(), "jsonl" | "jsonlines" | "ldjson");
        let alias = words.iter().map(|(word, _)| *word).find(|word| is_lines && *word == "ndjson");
        let near = alias.or_else(|| crate::closest(text, words.iter().map(|(word, _)| *word)));
        let message = format!("{owner} expects {}, found `{text}`", wanted(Kind::Choice(words)));
        self.error(mark, message, near.map(|near| format!("did you mean `{near}`?")));
        None
    }

    /// An error within a type is placed within the text where it stands as it was written.
    fn ddl<T>(&mut self, mark: Mark, scalar: &Scalar, parsed: Result<T, ddl::TypeError>) -> Option<T> {
        match parsed {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                let is_exact = scalar.style == Style::Plain && scalar.end.line == mark.line;
                let offset = if is_exact { error.column - 1 } else { 0 };
                self.error(Mark { column: mark.column + offset, ..mark }, error.message, error.hint);
                None
            }
        }
    }
}

fn outer(text: &str) -> Option<&'static str> {
    ["struct", "array", "map"].into_iter().find(|word| text.trim().eq_ignore_ascii_case(word))
}

/// For "found ...".
pub(super) fn shown(scalar: &Scalar) -> String {
    let mut text: String = scalar.text.chars().take(40).collect();
    if text.len() < scalar.text.len() {
        text.push_str("...");
    }
    if scalar.boolean().is_some() || scalar.is_null() {
        format!("`{text}`")
    } else if scalar.is_number() {
        format!("the number `{text}`")
    } else {
        format!("the text `{text}`")
    }
}

/// The valid name that `text` is nearest to.
fn fitting_name(text: &str) -> Option<Name> {
    let swapped = text.trim().to_lowercase();
    let swapped: String =
        swapped.chars().map(|c| if c.is_alphanumeric() || c == '-' { c } else { '_' }).take(63).collect();
    Name::new(&swapped)
}
