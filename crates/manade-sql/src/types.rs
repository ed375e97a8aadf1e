//! Types: how results are normalised, and Spark's rules for mixing types.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

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

/// Decimal that holds every value of an integer type.
pub fn decimal_of(data_type: &DataType) -> Option<(u8, i8)> {
    match data_type {
        DataType::Int8 => Some((3, 0)),
        DataType::Int16 => Some((5, 0)),
        DataType::Int32 => Some((10, 0)),
        DataType::Int64 => Some((20, 0)),
        DataType::Decimal128(precision, scale) => Some((*precision, *scale)),
        _ => None,
    }
}

/// The type to which Spark brings two numbers (`TypeCoercion.findTightestCommonType`, and for decimals
/// `DecimalPrecision.widerDecimalType`).
pub fn wider_number(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType::{Decimal128, Float32, Float64, Int8, Int16, Int32, Int64};
    let rank = |t: &DataType| [Int8, Int16, Int32, Int64, Float32, Float64].iter().position(|each| each == t);
    match (left, right) {
        (Decimal128(..), Float32 | Float64) | (Float32 | Float64, Decimal128(..)) => Some(Float64),
        (Decimal128(..), _) | (_, Decimal128(..)) => {
            let ((p1, s1), (p2, s2)) = (decimal_of(left)?, decimal_of(right)?);
            let scale = s1.max(s2);
            let whole = (p1 as i8 - s1).max(p2 as i8 - s2);
            Some(Decimal128((whole + scale).min(38) as u8, scale.min(38)))
        }
        _ => Some(if rank(left)? >= rank(right)? { left.clone() } else { right.clone() }),
    }
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

/// The type that holds both (`findWiderTypeForTwo`): CASE branches, `coalesce`, IN lists, UNION.
pub fn widest(left: &DataType, right: &DataType) -> Option<DataType> {
    match (left, right) {
        _ if left == right => Some(left.clone()),
        (DataType::Null, other) | (other, DataType::Null) => Some(other.clone()),
        (a, b) if is_number(a) && is_number(b) => wider_number(a, b),
        (DataType::Date32, DataType::Timestamp(unit, zone)) | (DataType::Timestamp(unit, zone), DataType::Date32) => {
            Some(DataType::Timestamp(*unit, zone.clone()))
        }
        (DataType::Timestamp(..), DataType::Timestamp(..)) => Some(timestamp()),
        (DataType::List(a), DataType::List(b)) => {
            let item = widest(a.data_type(), b.data_type())?;
            Some(DataType::List(Arc::new(Field::new_list_field(item, true))))
        }
        (DataType::Struct(a), DataType::Struct(b)) if a.len() == b.len() => {
            let fields: Option<Vec<Field>> = a
                .iter()
                .zip(b)
                .map(|(a, b)| Some(Field::new(a.name(), widest(a.data_type(), b.data_type())?, true)))
                .collect();
            Some(DataType::Struct(fields?.into()))
        }
        (a, b) if is_string(a) || is_string(b) => {
            let other = if is_string(a) { b } else { a };
            (!other.is_nested() && !matches!(other, DataType::BinaryView | DataType::Boolean) || is_string(other))
                .then_some(DataType::Utf8View)
        }
        _ => None,
    }
}

/// Spark's name of a type, for messages.
pub fn spark_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "void".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 => "tinyint".to_owned(),
        DataType::Int16 => "smallint".to_owned(),
        DataType::Int32 => "int".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(_, None) => "timestamp_ntz".to_owned(),
        DataType::Timestamp(..) => "timestamp".to_owned(),
        DataType::BinaryView | DataType::Binary => "binary".to_owned(),
        DataType::Interval(_) | DataType::Duration(_) => "interval".to_owned(),
        DataType::List(item) => format!("array<{}>", spark_name(item.data_type())),
        DataType::Struct(fields) => {
            let fields: Vec<String> =
                fields.iter().map(|field| format!("{}:{}", field.name(), spark_name(field.data_type()))).collect();
            format!("struct<{}>", fields.join(","))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => {
                format!("map<{},{}>", spark_name(fields[0].data_type()), spark_name(fields[1].data_type()))
            }
            _ => "map".to_owned(),
        },
        other if is_string(other) => "string".to_owned(),
        other => other.to_string().to_lowercase(),
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
