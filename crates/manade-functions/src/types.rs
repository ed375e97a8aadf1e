//! Spark's types as Arrow types: names, literals' decimal forms, and what two types widen to.

use std::sync::{Arc, LazyLock};

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use datafusion::common::{Result, plan_err};

/// `timestamp`: microseconds, UTC.
pub(crate) static TIMESTAMP: LazyLock<DataType> =
    LazyLock::new(|| DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())));

pub(crate) fn timestamp() -> DataType {
    TIMESTAMP.clone()
}

pub(crate) const fn timestamp_ntz() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, None)
}

/// Arrow does not count the values of its null type as nulls.
pub(crate) fn is_null(column: &ArrayRef, row: usize) -> bool {
    *column.data_type() == DataType::Null || column.is_null(row)
}

pub(crate) fn is_text(t: &DataType) -> bool {
    matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

pub(crate) fn is_binary(t: &DataType) -> bool {
    matches!(t, DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_))
}

pub(crate) fn is_float(t: &DataType) -> bool {
    matches!(t, DataType::Float32 | DataType::Float64)
}

pub(crate) fn is_interval(t: &DataType) -> bool {
    matches!(t, DataType::Interval(_) | DataType::Duration(_))
}

pub(crate) fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

pub(crate) fn map_of(key: DataType, value: DataType) -> DataType {
    let fields = Fields::from(vec![Field::new("key", key, false), Field::new("value", value, true)]);
    DataType::Map(Arc::new(Field::new("entries", DataType::Struct(fields), false)), false)
}

/// The element type of a list.
pub(crate) fn item(t: &DataType) -> Result<DataType> {
    match t {
        DataType::List(f) | DataType::LargeList(f) | DataType::FixedSizeList(f, _) => Ok(f.data_type().clone()),
        DataType::Null => Ok(DataType::Null),
        other => plan_err!("{} is not an array", spark_name(other)),
    }
}

/// Key and value type of a map.
pub(crate) fn entry(t: &DataType) -> Result<(DataType, DataType)> {
    match t {
        DataType::Map(f, _) => match f.data_type() {
            DataType::Struct(kv) => Ok((kv[0].data_type().clone(), kv[1].data_type().clone())),
            other => plan_err!("{} is not a map's entry", spark_name(other)),
        },
        DataType::Null => Ok((DataType::Null, DataType::Null)),
        other => plan_err!("{} is not a map", spark_name(other)),
    }
}

/// Precision and scale that hold every value of an integer or decimal type.
pub(crate) fn as_decimal(t: &DataType) -> Option<(u8, i8)> {
    Some(match t {
        DataType::Int8 => (3, 0),
        DataType::Int16 | DataType::UInt8 => (5, 0),
        DataType::Int32 | DataType::UInt16 => (10, 0),
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => (20, 0),
        DataType::Decimal128(p, s) => (*p, *s),
        _ => return None,
    })
}

/// A decimal of at most 38 digits: digits behind the point give way, but 6 of them stay
/// (Spark's `DecimalType.adjustPrecisionScale`).
pub(crate) fn bounded_decimal(precision: i32, scale: i32) -> DataType {
    let (p, s) = if precision <= 38 { (precision, scale) } else { (38, (38 - (precision - scale)).max(scale.min(6))) };
    DataType::Decimal128(p as u8, s as i8)
}

/// The type that holds both (`TypeCoercion.findWiderTypeForTwo`): CASE branches, `coalesce`, IN lists, UNION. Text wins
/// over numbers.
pub fn widest(a: &DataType, b: &DataType) -> Option<DataType> {
    if a == b {
        return Some(a.clone());
    }
    Some(match (a, b) {
        (DataType::Null, t) | (t, DataType::Null) => t.clone(),
        _ if is_text(a) && is_text(b) => DataType::Utf8View,
        _ if is_text(a) && becomes_text(b) || is_text(b) && becomes_text(a) => DataType::Utf8View,
        _ if is_binary(a) && is_binary(b) => DataType::BinaryView,
        _ if a.is_numeric() && b.is_numeric() => widest_number(a, b),
        (DataType::Date32, t @ DataType::Timestamp(..)) | (t @ DataType::Timestamp(..), DataType::Date32) => t.clone(),
        (DataType::Timestamp(..), DataType::Timestamp(..)) => timestamp(),
        (DataType::List(x), DataType::List(y)) => list_of(widest(x.data_type(), y.data_type())?),
        (DataType::Map(..), DataType::Map(..)) => {
            let ((ka, va), (kb, vb)) = (entry(a).ok()?, entry(b).ok()?);
            map_of(widest(&ka, &kb)?, widest(&va, &vb)?)
        }
        (DataType::Struct(x), DataType::Struct(y)) if x.len() == y.len() => {
            let fields = x.iter().zip(y).map(|(x, y)| {
                Some(Field::new(x.name(), widest(x.data_type(), y.data_type())?, x.is_nullable() || y.is_nullable()))
            });
            DataType::Struct(fields.collect::<Option<Vec<_>>>()?.into())
        }
        _ => return None,
    })
}

/// Whether each value of a type is one of another, wider one, in numbers or what is made of them.
pub fn is_widening(from: &DataType, to: &DataType) -> bool {
    use DataType::{Decimal128, Float32, Float64, Int8, Int16, Int32, List, Map, Struct};
    match (from, to) {
        _ if from == to => true,
        (Int8 | Int16 | Int32 | Float32, Float64) | (Int8 | Int16, Float32) => true,
        _ if from.is_signed_integer() && to.is_signed_integer() => widest_number(from, to) == *to,
        (_, Decimal128(p, s)) => as_decimal(from).is_some_and(|(from_p, from_s)| {
            from_s <= *s && i16::from(from_p) - i16::from(from_s) <= i16::from(*p) - i16::from(*s)
        }),
        (List(from), List(to)) | (Map(from, _), Map(to, _)) => is_widening(from.data_type(), to.data_type()),
        (Struct(from), Struct(to)) => {
            let fits = |(from, to): (&Arc<Field>, &Arc<Field>)| {
                from.name() == to.name() && is_widening(from.data_type(), to.data_type())
            };
            from.len() == to.len() && from.iter().zip(to).all(fits)
        }
        _ => false,
    }
}

/// Beside a text, as in Spark's string promotion.
fn becomes_text(t: &DataType) -> bool {
    !t.is_nested() && !is_binary(t) && *t != DataType::Boolean
}

fn widest_number(a: &DataType, b: &DataType) -> DataType {
    if matches!(a, DataType::Decimal128(..)) || matches!(b, DataType::Decimal128(..)) {
        let (Some((p1, s1)), Some((p2, s2))) = (as_decimal(a), as_decimal(b)) else {
            return DataType::Float64;
        };
        let scale = i32::from(s1.max(s2));
        let whole = (i32::from(p1) - i32::from(s1)).max(i32::from(p2) - i32::from(s2));
        return DataType::Decimal128((whole + scale).min(38) as u8, scale.min(38) as i8);
    }
    let rank = |t: &DataType| match t {
        DataType::Int8 => 0,
        DataType::Int16 | DataType::UInt8 => 1,
        DataType::Int32 | DataType::UInt16 => 2,
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => 3,
        DataType::Float32 => 4,
        _ => 5,
    };
    let ranked = [DataType::Int8, DataType::Int16, DataType::Int32, DataType::Int64, DataType::Float32];
    ranked.get(rank(a).max(rank(b))).cloned().unwrap_or(DataType::Float64)
}

/// The type as Spark's `simpleString` writes it.
pub fn spark_name(t: &DataType) -> String {
    match t {
        DataType::Null => "void".to_owned(),
        DataType::Boolean => "boolean".to_owned(),
        DataType::Int8 => "tinyint".to_owned(),
        DataType::Int16 => "smallint".to_owned(),
        DataType::Int32 => "int".to_owned(),
        DataType::Int64 => "bigint".to_owned(),
        DataType::Float32 => "float".to_owned(),
        DataType::Float64 => "double".to_owned(),
        DataType::Decimal128(p, s) => format!("decimal({p},{s})"),
        t if is_text(t) => "string".to_owned(),
        t if is_binary(t) => "binary".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamp".to_owned(),
        DataType::Timestamp(_, None) => "timestamp_ntz".to_owned(),
        DataType::Duration(TimeUnit::Second) => "interval day".to_owned(),
        DataType::Duration(_) => "interval day to second".to_owned(),
        DataType::Interval(_) => "interval".to_owned(),
        DataType::List(f) => format!("array<{}>", spark_name(f.data_type())),
        DataType::Map(..) => match entry(t) {
            Ok((k, v)) => format!("map<{},{}>", spark_name(&k), spark_name(&v)),
            Err(_) => t.to_string(),
        },
        DataType::Struct(fields) => {
            let fields: Vec<_> = fields.iter().map(|f| format!("{}:{}", f.name(), spark_name(f.data_type()))).collect();
            format!("struct<{}>", fields.join(","))
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widening_keeps_every_value() {
        let decimal = |p, s| DataType::Decimal128(p, s);
        for (from, to, wider) in [
            (decimal(5, 2), decimal(9, 4), true),
            (decimal(5, 2), decimal(6, 4), false),
            (decimal(38, 0), decimal(38, 2), false),
            (decimal(36, 0), decimal(38, 2), true),
            (DataType::Int32, decimal(10, 0), true),
            (DataType::Int32, decimal(38, 35), false),
            (DataType::Int64, decimal(38, 18), true),
            (DataType::Float64, decimal(38, 18), false),
            (decimal(5, 2), DataType::Float64, false),
            (DataType::Int64, DataType::Float64, false),
        ] {
            assert_eq!(is_widening(&from, &to), wider, "{from} to {to}");
        }
    }
}
