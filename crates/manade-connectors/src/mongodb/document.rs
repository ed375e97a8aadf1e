//! Rows as BSON documents. No type loses anything:
//!
//! | column | BSON |
//! |---|---|
//! | boolean | bool |
//! | tinyint, smallint, int | int32 |
//! | bigint | int64 |
//! | float, double | double |
//! | decimal of up to 34 digits | decimal128; longer ones string, as decimal128 holds 34 |
//! | string | string |
//! | binary | binary, subtype 0 |
//! | date | date, at midnight UTC |
//! | timestamp | date, which holds milliseconds; where there are microseconds, these are in a field `NAME_micros` (int32, 0 to 999) beside it |
//! | array | array |
//! | struct, map with string keys | document |
//! | other maps | array of documents `{ key, value }` |
//!
//! A null is a null.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType,
};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bson::raw::{CString, RawArrayBuf, RawBson, RawDocumentBuf};
use bson::spec::BinarySubtype;
use bson::{Binary, DateTime, Decimal128};

/// Digits that decimal128 holds.
const DIGITS: u8 = 34;
const MILLIS_PER_DAY: i64 = 86_400_000;

/// Why a row cannot be a document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// Of the columns of a batch, in order.
pub struct Names(Vec<CString>);

impl Names {
    pub fn of<'a>(columns: impl Iterator<Item = &'a str>) -> Result<Self, Refused> {
        columns.map(c_string).collect::<Result<_, _>>().map(Self)
    }
}

/// Appends a row's columns to a document, those of `names`.
pub fn append(document: &mut RawDocumentBuf, names: &Names, rows: &RecordBatch, row: usize) -> Result<(), Refused> {
    for (name, column) in names.0.iter().zip(rows.columns()) {
        put(document, name, column.as_ref(), row)?;
    }
    Ok(())
}

/// Appends one column's value.
pub fn put_column(document: &mut RawDocumentBuf, name: &str, column: &dyn Array, row: usize) -> Result<(), Refused> {
    put(document, &c_string(name)?, column, row)
}

fn put(document: &mut RawDocumentBuf, name: &CString, array: &dyn Array, row: usize) -> Result<(), Refused> {
    document.append(name, value(array, row)?);
    if let Some(micros) = micros(array, row).filter(|micros| *micros > 0) {
        document.append(c_string(&format!("{}_micros", name.as_str()))?, micros);
    }
    Ok(())
}

/// What milliseconds do not hold of a timestamp.
fn micros(array: &dyn Array, row: usize) -> Option<i32> {
    let timestamps = array.as_primitive_opt::<TimestampMicrosecondType>().filter(|array| array.is_valid(row))?;
    Some(timestamps.value(row).rem_euclid(1_000) as i32)
}

/// As one value: a list's timestamps have no place for microseconds.
pub fn value(array: &dyn Array, row: usize) -> Result<RawBson, Refused> {
    if array.is_null(row) {
        return Ok(RawBson::Null);
    }
    Ok(match array.data_type() {
        DataType::Null => RawBson::Null,
        DataType::Boolean => RawBson::Boolean(array.as_boolean().value(row)),
        DataType::Int8 => RawBson::Int32(array.as_primitive::<Int8Type>().value(row).into()),
        DataType::Int16 => RawBson::Int32(array.as_primitive::<Int16Type>().value(row).into()),
        DataType::Int32 => RawBson::Int32(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => RawBson::Int64(array.as_primitive::<Int64Type>().value(row)),
        DataType::Float32 => RawBson::Double(array.as_primitive::<Float32Type>().value(row).into()),
        DataType::Float64 => RawBson::Double(array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(precision, _) => {
            let text = array.as_primitive::<Decimal128Type>().value_as_string(row);
            if *precision <= DIGITS { decimal(&text)? } else { RawBson::String(text) }
        }
        DataType::Utf8 => RawBson::String(array.as_string::<i32>().value(row).to_owned()),
        DataType::LargeUtf8 => RawBson::String(array.as_string::<i64>().value(row).to_owned()),
        DataType::Utf8View => RawBson::String(array.as_string_view().value(row).to_owned()),
        DataType::Binary => binary(array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => binary(array.as_binary::<i64>().value(row)),
        DataType::BinaryView => binary(array.as_binary_view().value(row)),
        DataType::Date32 => {
            let days = i64::from(array.as_primitive::<Date32Type>().value(row));
            RawBson::DateTime(DateTime::from_millis(days * MILLIS_PER_DAY))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            RawBson::DateTime(DateTime::from_millis(micros.div_euclid(1_000)))
        }
        DataType::List(_) => list(array.as_list::<i32>().value(row).as_ref())?,
        DataType::Struct(fields) => {
            let members = array.as_struct();
            let mut document = RawDocumentBuf::new();
            for (field, column) in fields.iter().zip(members.columns()) {
                put(&mut document, &c_string(field.name())?, column.as_ref(), row)?;
            }
            RawBson::Document(document)
        }
        DataType::Map(..) => map(array, row)?,
        // Intervals.
        _ => RawBson::String(shown(array, row)?),
    })
}

fn binary(bytes: &[u8]) -> RawBson {
    RawBson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() })
}

fn decimal(text: &str) -> Result<RawBson, Refused> {
    let decimal = text.parse::<Decimal128>();
    decimal.map(RawBson::Decimal128).map_err(|e| Refused(format!("{text} is no decimal128: {e}")))
}

fn list(items: &dyn Array) -> Result<RawBson, Refused> {
    let mut list = RawArrayBuf::new();
    for item in 0..items.len() {
        list.push(value(items, item)?);
    }
    Ok(RawBson::Array(list))
}

fn map(array: &dyn Array, row: usize) -> Result<RawBson, Refused> {
    let entries = array.as_map().value(row);
    let (keys, values) = (entries.column(0), entries.column(1));
    if let Some(names) = texts(keys.as_ref()) {
        let mut document = RawDocumentBuf::new();
        for (entry, name) in names.into_iter().enumerate() {
            put(&mut document, &c_string(name)?, values.as_ref(), entry)?;
        }
        return Ok(RawBson::Document(document));
    }
    let mut list = RawArrayBuf::new();
    for entry in 0..entries.len() {
        let mut pair = RawDocumentBuf::new();
        put(&mut pair, &c_string("key")?, keys.as_ref(), entry)?;
        put(&mut pair, &c_string("value")?, values.as_ref(), entry)?;
        list.push(pair);
    }
    Ok(RawBson::Array(list))
}

/// `None` where they are no texts.
fn texts(array: &dyn Array) -> Option<Vec<&str>> {
    match array.data_type() {
        DataType::Utf8 => Some(array.as_string::<i32>().iter().flatten().collect()),
        DataType::Utf8View => Some(array.as_string_view().iter().flatten().collect()),
        _ => None,
    }
}

fn shown(array: &dyn Array, row: usize) -> Result<String, Refused> {
    let options = FormatOptions::default();
    let formatter = ArrayFormatter::try_new(array, &options).map_err(|e| Refused(e.to_string()))?;
    Ok(formatter.value(row).to_string())
}

/// BSON's names end at a zero byte.
pub fn c_string(name: &str) -> Result<CString, Refused> {
    CString::try_from(name).map_err(|_| Refused(format!("the name {name:?} has a zero byte")))
}
