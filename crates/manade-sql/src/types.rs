//! Types: how results are normalised, and Spark's rules for mixing types.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
pub use manade_functions::{spark_name, widest};

/// The type in which a column leaves the query: the engine's one Arrow type for each Spark type.
pub fn normal(data_type: &DataType) -> DataType {
    let field = |field: &Arc<Field>| Arc::new(Field::new(field.name(), normal(field.data_type()), true));
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Null => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary | DataType::FixedSizeBinary(_) => DataType::BinaryView,
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Float16 => DataType::Float32,
        DataType::Date64 => DataType::Date32,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(_, Some(_)) => timestamp(),
        DataType::Dictionary(_, value) => normal(value),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::ListView(item)
        | DataType::FixedSizeList(item, _) => {
            DataType::List(Arc::new(Field::new_list_field(normal(item.data_type()), true)))
        }
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(field).collect()),
        other => other.clone(),
    }
}

/// Microseconds in UTC: Spark's `timestamp`.
pub fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Spark's window type.
pub fn window_struct() -> DataType {
    DataType::Struct(Fields::from(vec![Field::new("start", timestamp(), true), Field::new("end", timestamp(), true)]))
}

/// The type's name with its article.
pub fn a(data_type: &DataType) -> String {
    let name = spark_name(data_type);
    let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {name}")
}

pub fn is_string(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// The parts of a schema that `paths` read, in the schema's order.
pub fn prune(schema: &Schema, paths: &[Vec<String>]) -> SchemaRef {
    let paths: Vec<&[String]> = paths.iter().map(Vec::as_slice).collect();
    Arc::new(Schema::new(prune_fields(schema.fields(), &paths)))
}

/// Whether the type is one of Spark's numbers.
pub fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

/// The type in which two values are compared (`findCommonTypeForBinaryComparison`): a string takes the other's type.
pub fn comparable(left: &DataType, right: &DataType) -> Option<DataType> {
    match (left, right) {
        _ if left == right => Some(left.clone()),
        (DataType::Null, other) | (other, DataType::Null) => Some(other.clone()),
        (a, b) if is_string(a) && is_string(b) => Some(DataType::Utf8View),
        (a, other) | (other, a) if is_string(a) => match other {
            DataType::Decimal128(..) => Some(DataType::Float64),
            DataType::List(_) | DataType::Map(..) | DataType::Struct(_) => None,
            other => Some(other.clone()),
        },
        _ => widest(left, right),
    }
}

fn prune_fields(fields: &Fields, paths: &[&[String]]) -> Vec<Field> {
    let mut kept = Vec::new();
    for field in fields {
        let below: Vec<&[String]> = paths
            .iter()
            .filter(|path| path.first().is_some_and(|name| *name == field.name().to_lowercase()))
            .map(|path| &path[1..])
            .collect();
        if below.is_empty() {
            continue;
        }
        match field.data_type() {
            DataType::Struct(inner) if below.iter().all(|path| !path.is_empty()) => {
                kept.push(Field::new(field.name(), DataType::Struct(prune_fields(inner, &below).into()), true));
            }
            other => kept.push(Field::new(field.name(), other.clone(), true)),
        }
    }
    kept
}
