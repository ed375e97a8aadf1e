//! Spark types as Arrow types.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use manade_model::{EventSchema, Field as SparkField, SparkType};

/// The column with a CloudEvent's attributes: `map<string,string>`.
pub const META_COLUMN: &str = "_meta";

/// The Arrow type that holds a Spark type everywhere in Manade; names within it are as written, all is nullable but
/// map keys.
pub fn arrow_type(t: &SparkType) -> DataType {
    match t {
        SparkType::Boolean => DataType::Boolean,
        SparkType::Byte => DataType::Int8,
        SparkType::Short => DataType::Int16,
        SparkType::Int => DataType::Int32,
        SparkType::Long => DataType::Int64,
        SparkType::Float => DataType::Float32,
        SparkType::Double => DataType::Float64,
        SparkType::Decimal { precision, scale } => DataType::Decimal128(*precision, *scale as i8),
        SparkType::String => DataType::Utf8View,
        SparkType::Binary => DataType::BinaryView,
        SparkType::Date(_) => DataType::Date32,
        SparkType::Timestamp(_) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        SparkType::TimestampNtz(_) => DataType::Timestamp(TimeUnit::Microsecond, None),
        SparkType::Array(element) => DataType::List(element_field(arrow_type(element))),
        SparkType::Map(key, value) => DataType::Map(entries_field(arrow_type(key), arrow_type(value)), false),
        SparkType::Struct(fields) => DataType::Struct(
            fields.iter().map(|field| Field::new(&field.name, arrow_type(&field.data_type), true)).collect(),
        ),
    }
}

/// The columns of a schema, names in lower case.
pub fn arrow_schema(s: &EventSchema) -> SchemaRef {
    Arc::new(Schema::new(s.fields.iter().map(arrow_field).collect::<Fields>()))
}

/// `_meta`, as it is appended to the events of an http source.
pub(crate) fn meta_field() -> Field {
    let of_strings = SparkType::Map(Box::new(SparkType::String), Box::new(SparkType::String));
    Field::new(META_COLUMN, arrow_type(&of_strings), true)
}

pub(crate) fn element_field(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new_list_field(data_type, true))
}

pub(crate) fn entries_field(key: DataType, value: DataType) -> Arc<Field> {
    let entries = Fields::from(vec![Field::new("key", key, false), Field::new("value", value, true)]);
    Arc::new(Field::new("entries", DataType::Struct(entries), false))
}

fn arrow_field(field: &SparkField) -> Field {
    Field::new(&field.name, arrow_type(&field.data_type), true)
}
