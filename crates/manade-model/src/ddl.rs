//! Spark's DDL for types: `struct<a:int,b:array<string>>`, and for columns: `a INT, b STRING NOT NULL COMMENT 'x'`.
//!
//! Grammar: <https://spark.apache.org/docs/latest/sql-ref-syntax-ddl-create-table-datasource.html> and Spark's
//! `DataType.fromDDL`. Events may leave out or null any field, so `NOT NULL` is read and has no effect, as in Spark's
//! own readers; comments are dropped.

use std::collections::HashSet;
use std::fmt;

use crate::types::{Field, SparkType, TimeFormat};

/// Why a text is not a type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TypeError {
    /// In characters, from 1.
    pub column: usize,
    pub message: String,
    pub hint: Option<String>,
}

/// One type.
pub fn parse_type(ddl: &str) -> Result<SparkType, TypeError> {
    let mut parser = Parser::new(ddl);
    let parsed = parser.data_type()?;
    parser.end()?;
    Ok(parsed)
}

/// A list of columns; at least one.
pub fn parse_fields(ddl: &str) -> Result<Vec<Field>, TypeError> {
    let mut parser = Parser::new(ddl);
    let fields = parser.fields(None)?;
    parser.end()?;
    Ok(fields)
}

/// Spark's `simpleString`: `bigint`, `struct<a:int>`, `decimal(10,2)`. Time formats are not shown.
impl fmt::Display for SparkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Decimal { precision, scale } => return write!(f, "decimal({precision},{scale})"),
            Self::Array(element) => return write!(f, "array<{element}>"),
            Self::Map(key, value) => return write!(f, "map<{key},{value}>"),
            Self::Struct(fields) => return show_struct(fields, f),
            Self::Boolean => "boolean",
            Self::Byte => "tinyint",
            Self::Short => "smallint",
            Self::Int => "int",
            Self::Long => "bigint",
            Self::Float => "float",
            Self::Double => "double",
            Self::String => "string",
            Self::Binary => "binary",
            Self::Date(_) => "date",
            Self::Timestamp(_) => "timestamp",
            Self::TimestampNtz(_) => "timestamp_ntz",
        };
        f.write_str(name)
    }
}

/// Recursion is bounded by it, here and for whoever walks the type.
const DEEPEST: usize = 64;

const NAMES: [&str; 17] = [
    "boolean",
    "tinyint",
    "smallint",
    "int",
    "bigint",
    "float",
    "double",
    "decimal",
    "string",
    "binary",
    "date",
    "timestamp",
    "timestamp_ntz",
    "array",
    "map",
    "struct",
    "long",
];

/// Names of other systems, and Spark's for the same.
const FOREIGN: [(&str, &str); 27] = [
    ("bool", "boolean"),
    ("int8", "tinyint"),
    ("int16", "smallint"),
    ("int32", "int"),
    ("int64", "bigint"),
    ("uint8", "smallint"),
    ("uint16", "int"),
    ("uint32", "bigint"),
    ("uint64", "decimal(20,0)"),
    ("number", "double"),
    ("float32", "float"),
    ("float64", "double"),
    ("text", "string"),
    ("str", "string"),
    ("uuid", "string"),
    ("json", "string"),
    ("variant", "string"),
    ("bytes", "binary"),
    ("datetime", "timestamp"),
    ("timestamptz", "timestamp"),
    ("time", "string"),
    ("list", "array<...>"),
    ("object", "struct<...>"),
    ("record", "struct<...>"),
    ("row", "struct<...>"),
    ("dict", "map<string, ...>"),
    ("null", "string"),
];

struct Parser {
    chars: Vec<char>,
    at: usize,
    depth: usize,
}

fn show_struct(fields: &[Field], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("struct<")?;
    for (i, field) in fields.iter().enumerate() {
        let gap = if i > 0 { "," } else { "" };
        write!(f, "{gap}{}:{}", field.name, field.data_type)?;
    }
    f.write_str(">")
}

impl Parser {
    fn new(ddl: &str) -> Self {
        Self { chars: ddl.chars().collect(), at: 0, depth: 0 }
    }

    fn data_type(&mut self) -> Result<SparkType, TypeError> {
        self.spaces();
        let start = self.at;
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(error(start, format!("the type is nested more than {DEEPEST} levels deep"), None));
        }
        let word = self.word();
        if word.is_empty() {
            let found = self.found();
            let message = format!("expected a type, found {found}");
            return Err(error(start, message, Some("write a Spark type, like `string`, `bigint` or `array<int>`")));
        }
        let data_type = match word.to_lowercase().as_str() {
            "boolean" => SparkType::Boolean,
            "tinyint" | "byte" => SparkType::Byte,
            "smallint" | "short" => SparkType::Short,
            "int" | "integer" => SparkType::Int,
            "bigint" | "long" => SparkType::Long,
            "float" | "real" => SparkType::Float,
            "double" => SparkType::Double,
            "decimal" | "dec" | "numeric" => self.decimal()?,
            "string" => SparkType::String,
            "char" | "character" | "varchar" => self.sized_text(&word)?,
            "binary" => SparkType::Binary,
            "date" => SparkType::Date(TimeFormat::Iso),
            "timestamp" | "timestamp_ltz" => SparkType::Timestamp(TimeFormat::Iso),
            "timestamp_ntz" => SparkType::TimestampNtz(TimeFormat::Iso),
            "array" => {
                self.open(&word, "array<string>")?;
                let element = self.data_type()?;
                self.expect('>')?;
                SparkType::Array(Box::new(element))
            }
            "map" => {
                self.open(&word, "map<string, int>")?;
                let key = self.data_type()?;
                self.expect(',')?;
                let value = self.data_type()?;
                self.expect('>')?;
                SparkType::Map(Box::new(key), Box::new(value))
            }
            "struct" => {
                self.open(&word, "struct<a: int, b: string>")?;
                let fields = self.fields(Some('>'))?;
                self.expect('>')?;
                SparkType::Struct(fields)
            }
            other => return Err(Self::unknown(start, &word, other)),
        };
        self.depth -= 1;
        Ok(data_type)
    }

    /// Columns up to `end`, which is left to be read.
    fn fields(&mut self, end: Option<char>) -> Result<Vec<Field>, TypeError> {
        let mut fields = Vec::new();
        let mut names = HashSet::new();
        loop {
            self.spaces();
            let start = self.at;
            let name = self.name()?;
            if !names.insert(name.to_lowercase()) {
                let hint = "names are compared without case: rename one of them";
                return Err(error(start, format!("the field `{name}` stands twice in one struct"), Some(hint)));
            }
            self.spaces();
            if self.peek() == Some(':') {
                self.at += 1;
            }
            let data_type = self.data_type()?;
            self.attributes()?;
            fields.push(Field { name, data_type });
            self.spaces();
            match self.peek() {
                Some(',') => self.at += 1,
                found if found == end => return Ok(fields),
                _ => {
                    let message = format!("expected `,` or {}, found {}", shown(end), self.found());
                    return Err(error(self.at, message, None));
                }
            }
        }
    }

    /// A field's name: letters, digits and `_`, or anything within backticks, of which two stand for one.
    fn name(&mut self) -> Result<String, TypeError> {
        let start = self.at;
        if self.peek() != Some('`') {
            let name = self.word();
            if name.is_empty() {
                let message = format!("expected a field's name, found {}", self.found());
                return Err(error(start, message, Some("write `name: type`; quote unusual names with backticks")));
            }
            return Ok(name);
        }
        let mut name = String::new();
        self.at += 1;
        while let Some(c) = self.peek() {
            self.at += 1;
            if c != '`' {
                name.push(c);
            } else if self.peek() == Some('`') {
                self.at += 1;
                name.push('`');
            } else if name.is_empty() {
                return Err(error(start, "the field's name is empty".to_owned(), None));
            } else {
                return Ok(name);
            }
        }
        Err(error(start, "the backtick is not closed".to_owned(), None))
    }

    /// `NOT NULL` and `COMMENT 'text'`.
    fn attributes(&mut self) -> Result<(), TypeError> {
        loop {
            self.spaces();
            let start = self.at;
            match self.word().to_lowercase().as_str() {
                "" => return Ok(()),
                "not" => {
                    self.spaces();
                    let at = self.at;
                    if !self.word().eq_ignore_ascii_case("null") {
                        return Err(error(at, "expected `NULL` after `NOT`".to_owned(), None));
                    }
                }
                "comment" => self.quoted()?,
                _ => {
                    self.at = start;
                    return Ok(());
                }
            }
        }
    }

    fn quoted(&mut self) -> Result<(), TypeError> {
        self.spaces();
        let start = self.at;
        let Some(quote) = self.peek().filter(|c| matches!(c, '\'' | '"')) else {
            return Err(error(start, "expected a quoted comment".to_owned(), None));
        };
        self.at += 1;
        while let Some(c) = self.peek() {
            self.at += if c == '\\' { 2 } else { 1 };
            if c == quote {
                return Ok(());
            }
        }
        Err(error(start, "the comment's quote is not closed".to_owned(), None))
    }

    /// `decimal`, `decimal(p)` or `decimal(p, s)`; Spark's default is `(10, 0)`.
    fn decimal(&mut self) -> Result<SparkType, TypeError> {
        self.spaces();
        if self.peek() != Some('(') {
            return Ok(SparkType::Decimal { precision: 10, scale: 0 });
        }
        self.at += 1;
        let (precision, start) = self.number()?;
        if !(1..=38).contains(&precision) {
            return Err(error(start, format!("the precision {precision} is not between 1 and 38"), None));
        }
        self.spaces();
        let mut scale = 0;
        if self.peek() == Some(',') {
            self.at += 1;
            let start;
            (scale, start) = self.number()?;
            if scale > precision {
                return Err(error(start, format!("the scale {scale} is above the precision {precision}"), None));
            }
        }
        self.expect(')')?;
        Ok(SparkType::Decimal { precision, scale })
    }

    /// `char(n)` and `varchar(n)`: Spark's readers take them as strings of any length.
    fn sized_text(&mut self, word: &str) -> Result<SparkType, TypeError> {
        let start = self.at - word.chars().count();
        self.spaces();
        if self.peek() != Some('(') {
            return Err(error(start, format!("`{word}` has no length"), Some("write `string`")));
        }
        self.at += 1;
        self.number()?;
        self.expect(')')?;
        Ok(SparkType::String)
    }

    /// A small whole number, and where it stands; what is too large is shown as 255, above every bound.
    fn number(&mut self) -> Result<(u8, usize), TypeError> {
        self.spaces();
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        let digits: String = self.chars[start..self.at].iter().collect();
        if digits.is_empty() {
            return Err(error(start, format!("expected a number, found {}", self.found()), None));
        }
        Ok((digits.parse().unwrap_or(u8::MAX), start))
    }

    fn open(&mut self, word: &str, example: &str) -> Result<(), TypeError> {
        self.spaces();
        if self.peek() == Some('<') {
            self.at += 1;
            return Ok(());
        }
        let message = format!("`{word}` needs its element types in `<...>`, found {}", self.found());
        Err(error(self.at, message, Some(&format!("write it like `{example}`"))))
    }

    fn expect(&mut self, wanted: char) -> Result<(), TypeError> {
        self.spaces();
        if self.peek() == Some(wanted) {
            self.at += 1;
            return Ok(());
        }
        Err(error(self.at, format!("expected `{wanted}`, found {}", self.found()), None))
    }

    fn end(&mut self) -> Result<(), TypeError> {
        self.spaces();
        if self.at >= self.chars.len() {
            return Ok(());
        }
        Err(error(self.at, format!("unexpected {} behind the type", self.found()), None))
    }

    fn spaces(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn word(&mut self) -> String {
        let start = self.at;
        while self.peek().is_some_and(|c| c.is_alphanumeric() || c == '_') {
            self.at += 1;
        }
        self.chars[start..self.at].iter().collect()
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn found(&self) -> String {
        shown(self.peek())
    }

    fn unknown(start: usize, word: &str, lower: &str) -> TypeError {
        let foreign = FOREIGN.iter().find(|(name, _)| *name == lower).map(|(_, spark)| *spark);
        let hint = match foreign.or_else(|| crate::closest(lower, NAMES.into_iter())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the types are {}", NAMES[..16].join(", ")),
        };
        error(start, format!("unknown type `{word}`"), Some(&hint))
    }
}

fn error(at: usize, message: String, hint: Option<&str>) -> TypeError {
    TypeError { column: at + 1, message, hint: hint.map(str::to_owned) }
}

fn shown(c: Option<char>) -> String {
    c.map_or_else(|| "the end".to_owned(), |c| format!("`{c}`"))
}

#[cfg(test)]
mod tests;
