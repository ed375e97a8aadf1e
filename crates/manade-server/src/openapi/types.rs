//! Types as JSON Schema.

use arrow::datatypes::DataType;
use manade_model::SparkType;
use serde_json::{Map, Value, json};

/// Of a column's values in a JSON answer. Every column may be null.
pub fn schema_of(data_type: &DataType) -> Value {
    match data_type {
        DataType::Boolean => nullable("boolean", None),
        DataType::Int8 | DataType::Int16 | DataType::Int32 => nullable("integer", Some("int32")),
        DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::Int64 | DataType::UInt64 => {
            nullable("integer", Some("int64"))
        }
        DataType::Float32 => nullable("number", Some("float")),
        DataType::Float64 => nullable("number", Some("double")),
        DataType::Decimal128(..) => nullable("number", None),
        DataType::Date32 => nullable("string", Some("date")),
        DataType::Timestamp(_, Some(_)) => nullable("string", Some("date-time")),
        DataType::BinaryView | DataType::Binary => json!({ "type": ["string", "null"], "contentEncoding": "base64" }),
        DataType::List(element) | DataType::LargeList(element) => {
            json!({ "type": ["array", "null"], "items": schema_of(element.data_type()) })
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                json!({ "type": ["object", "null"], "additionalProperties": schema_of(fields[1].data_type()) })
            }
            _ => nullable("object", None),
        },
        DataType::Struct(fields) => {
            let properties: Map<String, Value> =
                fields.iter().map(|field| (field.name().clone(), schema_of(field.data_type()))).collect();
            json!({ "type": ["object", "null"], "properties": properties })
        }
        DataType::Null => json!({ "type": "null" }),
        _ => nullable("string", None),
    }
}

/// Of a field in an event that is sent. Nothing is required: what is left out is null. What does not fit is accepted
/// and becomes a dead letter, so that this says what a sender should send rather than what is refused.
pub fn event_schema_of(data_type: &SparkType) -> Value {
    use manade_model::TimeFormat::{EpochMicros, EpochMillis, EpochSeconds, Iso, Pattern};
    match data_type {
        SparkType::Boolean => nullable("boolean", None),
        SparkType::Byte | SparkType::Short | SparkType::Int => nullable("integer", Some("int32")),
        SparkType::Long => nullable("integer", Some("int64")),
        SparkType::Float => nullable("number", Some("float")),
        SparkType::Double => nullable("number", Some("double")),
        SparkType::Decimal { .. } => nullable("number", None),
        SparkType::String | SparkType::TimestampNtz(Iso) => nullable("string", None),
        SparkType::Binary => json!({ "type": ["string", "null"], "contentEncoding": "base64" }),
        SparkType::Date(Iso) => nullable("string", Some("date")),
        SparkType::Timestamp(Iso) => nullable("string", Some("date-time")),
        SparkType::Date(format) | SparkType::Timestamp(format) | SparkType::TimestampNtz(format) => match format {
            EpochSeconds => described("number", "seconds since the epoch"),
            EpochMillis => described("integer", "milliseconds since the epoch"),
            EpochMicros => described("integer", "microseconds since the epoch"),
            Pattern(pattern) => described("string", pattern),
            Iso => nullable("string", None),
        },
        SparkType::Array(element) => json!({ "type": ["array", "null"], "items": event_schema_of(element) }),
        SparkType::Map(_, value) => {
            json!({ "type": ["object", "null"], "additionalProperties": event_schema_of(value) })
        }
        SparkType::Struct(fields) => {
            let properties: Map<String, Value> =
                fields.iter().map(|field| (field.name.clone(), event_schema_of(&field.data_type))).collect();
            json!({ "type": ["object", "null"], "properties": properties })
        }
    }
}

fn nullable(name: &str, format: Option<&str>) -> Value {
    let mut schema = json!({ "type": [name, "null"] });
    if let Some(format) = format {
        schema["format"] = Value::from(format);
    }
    schema
}

fn described(name: &str, description: &str) -> Value {
    json!({ "type": [name, "null"], "description": description })
}
