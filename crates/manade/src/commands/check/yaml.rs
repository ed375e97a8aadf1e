//! Schemas as they are written in a pipeline file.

use std::fmt::Write as _;

use manade_model::{EventSchema, Field, SparkType, TimeFormat};

#[cfg(test)]
mod tests;

/// A line a column, as under `events.schema`, each indented so far.
pub fn schema_yaml(schema: &EventSchema, indent: usize) -> String {
    let mut out = String::new();
    for field in &schema.fields {
        let _ = writeln!(out, "{:indent$}{}: {}", "", plain_or_quoted(&field.name), value(&field.data_type));
    }
    out
}

/// A YAML scalar that is read as this text.
pub fn plain_or_quoted(text: &str) -> String {
    const WORDS: [&str; 7] = ["true", "false", "null", "yes", "no", "on", "off"];
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str());
    if is_plain {
        return text.to_owned();
    }
    // JSON's escapes are YAML's too.
    serde_json::Value::from(text).to_string()
}

fn value(data_type: &SparkType) -> String {
    match ddl(data_type) {
        // In a flow mapping or at a line's end, commas and colons are syntax.
        Some(ddl) if ddl.contains([':', ',', '`', '#', '"']) => serde_json::Value::from(ddl).to_string(),
        Some(ddl) => ddl,
        None => nested(data_type),
    }
}

/// As Spark's DDL, which has no place for time formats and odd names.
fn ddl(data_type: &SparkType) -> Option<String> {
    fn fits(data_type: &SparkType) -> bool {
        match data_type {
            SparkType::Date(format) | SparkType::Timestamp(format) | SparkType::TimestampNtz(format) => {
                *format == TimeFormat::Iso
            }
            SparkType::Array(element) => fits(element),
            SparkType::Map(key, value) => fits(key) && fits(value),
            SparkType::Struct(fields) => fields.iter().all(|field| is_word(&field.name) && fits(&field.data_type)),
            _ => true,
        }
    }
    fits(data_type).then(|| data_type.to_string())
}

fn is_word(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// As a flow mapping.
fn nested(data_type: &SparkType) -> String {
    match data_type {
        SparkType::Array(element) => format!("{{ type: array, element: {} }}", value(element)),
        SparkType::Map(key, of) => format!("{{ type: map, key: {}, value: {} }}", value(key), value(of)),
        SparkType::Struct(fields) => {
            let one = |field: &Field| format!("{}: {}", plain_or_quoted(&field.name), value(&field.data_type));
            let fields: Vec<String> = fields.iter().map(one).collect();
            format!("{{ type: struct, fields: {{ {} }} }}", fields.join(", "))
        }
        SparkType::Date(format) | SparkType::Timestamp(format) | SparkType::TimestampNtz(format) => {
            format!("{{ type: {data_type}, format: {} }}", time_format(format))
        }
        other => other.to_string(),
    }
}

fn time_format(format: &TimeFormat) -> String {
    match format {
        TimeFormat::Iso => "\"\"".to_owned(),
        TimeFormat::EpochSeconds => "epoch_seconds".to_owned(),
        TimeFormat::EpochMillis => "epoch_millis".to_owned(),
        TimeFormat::EpochMicros => "epoch_micros".to_owned(),
        TimeFormat::Pattern(pattern) => {
            let is_plain =
                pattern.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '/' | '-' | '.' | ' ' | ':'))
                    && pattern.starts_with(|c: char| c.is_ascii_alphabetic())
                    && !pattern.contains(": ")
                    && !pattern.ends_with([' ', ':']);
            if is_plain { pattern.clone() } else { serde_json::Value::from(pattern.as_str()).to_string() }
        }
    }
}
