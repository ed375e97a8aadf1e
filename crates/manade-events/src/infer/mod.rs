//! Finds a schema in the first events.

mod guess;
#[cfg(test)]
mod tests;

use manade_model::{CsvOptions, EventSchema, Field, FileFormat, SparkType};
use thiserror::Error;

use crate::decoder::{column_name, csv_cells, describe, wrong_width};
use crate::framer::Framer;
use crate::json::{Kind, parse_event};
use guess::Guess;

#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InferError {
    #[error("there is no event to infer a schema from")]
    Empty,
    #[error("no record could be read: {reason}")]
    Unreadable { reason: String },
    #[error("the header has the column `{name}` twice")]
    Twice { name: String },
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Inferred {
    pub schema: EventSchema,
    /// Columns, and fields within them, that a schema cannot have, as sentences.
    pub left_out: Vec<String>,
}

impl Inferred {
    /// Names are compared without case, each has a letter at least, and those of columns do not start with `__`.
    fn of(found: Vec<Field>) -> Self {
        let (reserved, found): (Vec<Field>, Vec<Field>) = found.into_iter().partition(|f| f.name.starts_with("__"));
        let kept = |field: &Field| format!("`{}` is left out: `__` in front is Manade's own", field.name);
        let mut left_out: Vec<String> = reserved.iter().map(kept).collect();
        let fields = distinct(found, "", &mut left_out);
        Self { schema: EventSchema { fields }, left_out }
    }
}

/// The schema of a sample's complete records: as Spark infers it, with names as written in the order of their first
/// appearance, and with dates and timestamps recognised in strings. Records that cannot be read are left out.
pub fn infer(sample: &[u8], format: &FileFormat) -> Result<Inferred, InferError> {
    let mut framer = Framer::new(format, u64::MAX);
    let mut cut = framer.cut(sample, false);
    if cut.records.is_empty() {
        framer = Framer::new(format, u64::MAX);
        cut = framer.cut(sample, true);
    }
    let mut reasons: Vec<String> = cut.errors.iter().map(|error| error.reason.clone()).collect();
    let data = &sample[cut.records.clone()];
    let records = records(data, &cut.ends, format);
    let mut merged = Guess::Null;
    let mut names: Vec<String> = framer.header().map(|header| header.to_vec()).unwrap_or_default();
    let mut columns = vec![Guess::Null; names.len()];
    let mut any = false;
    for record in records {
        let Ok(text) = simdutf8::basic::from_utf8(record) else {
            reasons.push("not valid UTF-8".to_owned());
            continue;
        };
        let read = match format {
            FileFormat::Csv(options) => read_cells(text, options, &mut names, &mut columns),
            FileFormat::Ndjson | FileFormat::Json => read_event(text, &mut merged),
        };
        match read {
            Ok(()) => any = true,
            Err(reason) => reasons.push(reason),
        }
    }
    let found = match format {
        FileFormat::Csv(_) => csv_fields(names, columns)?,
        FileFormat::Ndjson | FileFormat::Json => merged.fields(),
    };
    let inferred = Inferred::of(found);
    match reasons.into_iter().next() {
        Some(reason) if !any => Err(InferError::Unreadable { reason }),
        _ if !any || inferred.schema.fields.is_empty() => Err(InferError::Empty),
        _ => Ok(inferred),
    }
}

fn records<'a>(data: &'a [u8], ends: &[u32], format: &FileFormat) -> Vec<&'a [u8]> {
    if *format == FileFormat::Ndjson {
        let lines = data.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        return lines.filter(|line| !line.is_empty()).collect();
    }
    let mut start = 0;
    let mut records = Vec::new();
    for end in ends {
        let record = &data[start..*end as usize];
        start = *end as usize;
        let record = match format {
            FileFormat::Csv(_) => record.strip_suffix(b"\n").unwrap_or(record),
            _ => record.strip_prefix(b",").unwrap_or(record).trim_ascii(),
        };
        let record = record.strip_suffix(b"\r").unwrap_or(record);
        if !record.is_empty() {
            records.push(record);
        }
    }
    records
}

fn read_event(text: &str, merged: &mut Guess) -> Result<(), String> {
    let event = parse_event(text).map_err(|fault| describe(&fault, text))?;
    let Kind::Object(_) = &event.kind else { return Err("not a JSON object".to_owned()) };
    *merged = std::mem::take(merged).or(Guess::of(&event));
    Ok(())
}

/// Without a header the columns are `_c0`, `_c1` and so on, as Spark names them.
fn read_cells(
    text: &str,
    options: &CsvOptions,
    names: &mut Vec<String>,
    columns: &mut Vec<Guess>,
) -> Result<(), String> {
    let cells = csv_cells(text, options)?;
    if names.is_empty() && !options.header {
        *names = (0..cells.len()).map(|index| format!("_c{index}")).collect();
        columns.resize(cells.len(), Guess::Null);
    }
    if cells.len() != names.len() {
        return Err(wrong_width(cells.len(), names.len()));
    }
    for (column, cell) in columns.iter_mut().zip(&cells) {
        *column = std::mem::take(column).or(Guess::of_cell(cell));
    }
    Ok(())
}

fn csv_fields(names: Vec<String>, columns: Vec<Guess>) -> Result<Vec<Field>, InferError> {
    let mut fields: Vec<Field> = Vec::new();
    for (index, (name, column)) in names.iter().zip(columns).enumerate() {
        let name = column_name(name, index);
        if fields.iter().any(|field| field.name == name) {
            return Err(InferError::Twice { name });
        }
        fields.push(Field { name, data_type: column.spark_type().unwrap_or(SparkType::String) });
    }
    Ok(fields)
}

/// Of names that differ only in case the first is kept.
fn distinct(found: Vec<Field>, within: &str, left_out: &mut Vec<String>) -> Vec<Field> {
    let mut fields: Vec<Field> = Vec::new();
    for Field { name, data_type } in found {
        let path = format!("{within}{name}");
        if name.trim().is_empty() {
            let of = within.strip_suffix('.').map(|of| format!(" of `{of}`")).unwrap_or_default();
            left_out.push(format!("a field{of} without a name is left out"));
            continue;
        }
        let lower = name.to_lowercase();
        if let Some(kept) = fields.iter().find(|field| field.name.to_lowercase() == lower) {
            left_out.push(format!("`{path}` is left out: only its case differs from `{within}{}`", kept.name));
            continue;
        }
        if let Some(data_type) = distinct_within(data_type, &path, left_out) {
            fields.push(Field { name, data_type });
        }
    }
    fields
}

/// `None`: a struct of which nothing is left.
fn distinct_within(data_type: SparkType, path: &str, left_out: &mut Vec<String>) -> Option<SparkType> {
    Some(match data_type {
        SparkType::Struct(inner) => {
            let fields = distinct(inner, &format!("{path}."), left_out);
            if fields.is_empty() {
                return None;
            }
            SparkType::Struct(fields)
        }
        SparkType::Array(element) => SparkType::Array(Box::new(distinct_within(*element, path, left_out)?)),
        other => other,
    })
}
