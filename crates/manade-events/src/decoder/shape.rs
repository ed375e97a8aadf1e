//! What of an event is read, and how: the schema pruned to the paths that are needed.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields};
use manade_model::{Field as SparkField, SparkType, TimeFormat};

use super::DecoderError;
use crate::datetime::Pattern;
use crate::schema::{arrow_type, element_field, entries_field};

/// A type as it is read.
#[derive(Debug, Clone)]
pub(crate) enum Shape {
    Leaf(Leaf),
    Array(Box<Shape>),
    /// Of the values; keys are strings.
    Map(Box<Shape>),
    Struct(Arc<Members>),
}

#[derive(Debug, Clone)]
pub(crate) enum Leaf {
    Boolean,
    Byte,
    Short,
    Int,
    Long,
    Float,
    Double,
    Decimal { precision: u8, scale: u8 },
    String,
    Binary,
    Date(TimeReader),
    Timestamp(TimeReader),
    TimestampNtz(TimeReader),
}

/// How a date or a timestamp is written.
#[derive(Debug, Clone)]
pub(crate) enum TimeReader {
    Iso,
    Pattern(Arc<Pattern>),
    /// Numbers; 10^digits of them are a second.
    Epoch {
        digits: u8,
    },
}

#[derive(Debug)]
pub(crate) struct Members {
    pub list: Vec<Member>,
    pub by_key: HashMap<Box<[u8]>, usize>,
}

#[derive(Debug)]
pub(crate) struct Member {
    /// As written in the schema, and so in the events.
    pub key: String,
    pub shape: Shape,
    /// Whether it is part of the batch; otherwise it is only read for the event time.
    pub visible: bool,
}

/// Paths, in lower case, that are read.
pub(crate) struct Reads<'a> {
    /// `None`: all.
    pub paths: Option<Vec<&'a [String]>>,
    pub time: Option<&'a [String]>,
}

/// The members that are read of `fields`.
pub(crate) fn members(fields: &[SparkField], reads: &Reads<'_>, path: &str) -> Result<Members, DecoderError> {
    let mut list = Vec::new();
    for field in fields {
        let Some((below, visible)) = reads.below(&field.name) else { continue };
        let path = if path.is_empty() { field.name.clone() } else { format!("{path}.{}", field.name) };
        let shape = shape(&field.data_type, &below, &path)?;
        list.push(Member { key: field.name.clone(), shape, visible });
    }
    let by_key = list.iter().enumerate().map(|(i, member)| (member.key.as_bytes().into(), i)).collect();
    Ok(Members { list, by_key })
}

fn shape(data_type: &SparkType, reads: &Reads<'_>, path: &str) -> Result<Shape, DecoderError> {
    let all = Reads { paths: None, time: None };
    let leaf = match data_type {
        SparkType::Struct(fields) => return Ok(Shape::Struct(Arc::new(members(fields, reads, path)?))),
        SparkType::Array(element) => return Ok(Shape::Array(Box::new(shape(element, &all, &format!("{path}[]"))?))),
        SparkType::Map(key, value) => {
            if **key != SparkType::String {
                return Err(DecoderError::MapKey { path: path.to_owned() });
            }
            return Ok(Shape::Map(Box::new(shape(value, &all, &format!("{path}[]"))?)));
        }
        SparkType::Boolean => Leaf::Boolean,
        SparkType::Byte => Leaf::Byte,
        SparkType::Short => Leaf::Short,
        SparkType::Int => Leaf::Int,
        SparkType::Long => Leaf::Long,
        SparkType::Float => Leaf::Float,
        SparkType::Double => Leaf::Double,
        SparkType::Decimal { precision, scale } => Leaf::Decimal { precision: *precision, scale: *scale },
        SparkType::String => Leaf::String,
        SparkType::Binary => Leaf::Binary,
        SparkType::Date(format) => Leaf::Date(time_reader(format, path)?),
        SparkType::Timestamp(format) => Leaf::Timestamp(time_reader(format, path)?),
        SparkType::TimestampNtz(format) => Leaf::TimestampNtz(time_reader(format, path)?),
    };
    Ok(Shape::Leaf(leaf))
}

fn time_reader(format: &TimeFormat, path: &str) -> Result<TimeReader, DecoderError> {
    Ok(match format {
        TimeFormat::Iso => TimeReader::Iso,
        TimeFormat::Pattern(pattern) => {
            let compiled = Pattern::compile(pattern).and_then(|pattern| pattern.check_parsing().map(|()| pattern));
            let error = |source| DecoderError::Pattern { path: path.to_owned(), source };
            TimeReader::Pattern(Arc::new(compiled.map_err(error)?))
        }
        TimeFormat::EpochSeconds => TimeReader::Epoch { digits: 0 },
        TimeFormat::EpochMillis => TimeReader::Epoch { digits: 3 },
        TimeFormat::EpochMicros => TimeReader::Epoch { digits: 6 },
    })
}

impl<'a> Reads<'a> {
    /// What is read below a member, and whether any of it but the event time; `None`: nothing.
    fn below(&self, name: &str) -> Option<(Reads<'a>, bool)> {
        let name = name.to_lowercase();
        let rest = |path: &'a [String]| path.split_first().filter(|(first, _)| **first == name).map(|(_, rest)| rest);
        let time = self.time.and_then(rest);
        let Some(paths) = &self.paths else { return Some((Reads { paths: None, time }, true)) };
        let below: Vec<_> = paths.iter().copied().filter_map(rest).collect();
        if below.is_empty() && time.is_none() {
            return None;
        }
        let visible = !below.is_empty();
        let whole = below.iter().any(|path| path.is_empty());
        Some((Reads { paths: (!whole).then_some(below), time }, visible))
    }
}

impl Shape {
    /// Of the visible part.
    pub fn data_type(&self) -> DataType {
        match self {
            Shape::Leaf(leaf) => leaf.data_type(),
            Shape::Array(element) => DataType::List(element_field(element.data_type())),
            Shape::Map(value) => DataType::Map(entries_field(DataType::Utf8View, value.data_type()), false),
            Shape::Struct(members) => DataType::Struct(members.fields()),
        }
    }
}

impl Members {
    /// The visible ones.
    pub fn fields(&self) -> Fields {
        let visible = self.list.iter().filter(|member| member.visible);
        visible.map(|member| Field::new(&member.key, member.shape.data_type(), true)).collect()
    }

    pub fn position(&self, lower: &str) -> Option<usize> {
        self.list.iter().position(|member| member.key.to_lowercase() == lower)
    }
}

impl Leaf {
    pub fn data_type(&self) -> DataType {
        let iso = TimeFormat::Iso;
        arrow_type(&match self {
            Leaf::Boolean => SparkType::Boolean,
            Leaf::Byte => SparkType::Byte,
            Leaf::Short => SparkType::Short,
            Leaf::Int => SparkType::Int,
            Leaf::Long => SparkType::Long,
            Leaf::Float => SparkType::Float,
            Leaf::Double => SparkType::Double,
            Leaf::Decimal { precision, scale } => SparkType::Decimal { precision: *precision, scale: *scale },
            Leaf::String => SparkType::String,
            Leaf::Binary => SparkType::Binary,
            Leaf::Date(_) => SparkType::Date(iso),
            Leaf::Timestamp(_) => SparkType::Timestamp(iso),
            Leaf::TimestampNtz(_) => SparkType::TimestampNtz(iso),
        })
    }
}

/// With an article, for messages: `an int`.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Leaf(leaf) => leaf.fmt(f),
            Shape::Array(_) => f.write_str("an array"),
            Shape::Map(_) | Shape::Struct(_) => f.write_str("an object"),
        }
    }
}

impl fmt::Display for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, time) = match self {
            Leaf::Boolean => ("a boolean", None),
            Leaf::Byte => ("a tinyint", None),
            Leaf::Short => ("a smallint", None),
            Leaf::Int => ("an int", None),
            Leaf::Long => ("a bigint", None),
            Leaf::Float => ("a float", None),
            Leaf::Double => ("a double", None),
            Leaf::Decimal { precision, scale } => return write!(f, "a decimal({precision},{scale})"),
            Leaf::String => ("a string", None),
            Leaf::Binary => ("base64", None),
            Leaf::Date(time) => ("a date", Some(time)),
            Leaf::Timestamp(time) => ("a timestamp", Some(time)),
            Leaf::TimestampNtz(time) => ("a timestamp_ntz", Some(time)),
        };
        f.write_str(name)?;
        match time {
            Some(TimeReader::Pattern(pattern)) => write!(f, " ({pattern})"),
            Some(TimeReader::Epoch { digits: 0 }) => f.write_str(" (epoch_seconds)"),
            Some(TimeReader::Epoch { digits: 3 }) => f.write_str(" (epoch_millis)"),
            Some(TimeReader::Epoch { .. }) => f.write_str(" (epoch_micros)"),
            Some(TimeReader::Iso) | None => Ok(()),
        }
    }
}
