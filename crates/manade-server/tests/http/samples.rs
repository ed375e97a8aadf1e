//! Rows with a column of each type, as typed values and as Arrow columns.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryViewArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int32Builder, Int64Array, ListBuilder, MapBuilder, StringArray, StringBuilder,
    StringViewArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use manade_pipeline::collection::CollectionKind;

use super::memory::{Memory, Platform};

/// One row of `samples`; every column but `n` is null now and then.
#[derive(Debug, Clone)]
pub struct Sample {
    pub n: i32,
    pub yes: Option<bool>,
    pub int: Option<i32>,
    pub big: Option<i64>,
    pub double: Option<f64>,
    /// Hundredths.
    pub price: Option<i128>,
    pub text: Option<&'static str>,
    /// Days since the epoch.
    pub day: Option<i32>,
    /// Microseconds since the epoch.
    pub at: Option<i64>,
    pub tags: Option<Vec<&'static str>>,
}

const TEXTS: [&str; 8] = ["JFK", "Boston", "a,b", "say \"hi\"", "", "ABc", "été", "(x)"];

/// 2001-01-01.
pub const DAY: i32 = 11_323;
pub const START: i64 = 978_307_200_000_000;

/// 60 rows.
pub fn samples() -> Vec<Sample> {
    let row = |n: i32| {
        let null = |every: i32| n % every == every - 1;
        Sample {
            n,
            yes: (!null(3)).then_some(n % 2 == 0),
            int: (!null(7)).then_some(n % 11 - 5),
            big: (!null(13)).then_some(i64::from(n % 5) * 9_007_199_254_740_993),
            double: (!null(11)).then_some(match n % 10 {
                3 => f64::NAN,
                6 => f64::INFINITY,
                _ => f64::from(n) / 4.0 - 5.0,
            }),
            price: (!null(5)).then_some(i128::from(n % 9) * 125 - 300),
            text: (!null(6)).then_some(TEXTS[(n % 8) as usize]),
            day: (!null(9)).then_some(DAY + n % 4),
            at: (!null(8)).then_some(START + i64::from(n % 12) * 600_000_000 + i64::from(n % 2) * 500_000),
            tags: (!null(4)).then(|| TEXTS[..(n % 3) as usize].to_vec()),
        }
    };
    (0..60).map(row).collect()
}

/// The collections `samples` (keyed), `log` (append), `top`, `all_types` (one row of every type) and `empty`.
pub fn platform() -> Platform {
    let rows = samples();
    let mut shuffled = rows.clone();
    // The order of the keys is not that of `n`.
    shuffled.sort_by_key(|row| (row.n * 37) % 61);
    let collections = vec![
        Memory::new("samples", CollectionKind::Keyed, columns(&shuffled)),
        Memory::new("log", CollectionKind::Append, columns(&rows)),
        Memory::new("top", CollectionKind::Top, columns(&rows[..5])),
        Memory::new("all_types", CollectionKind::Keyed, all_types()),
        Memory::new("empty", CollectionKind::Keyed, columns(&[])),
        Memory::new("many", CollectionKind::Append, many(2_500)),
    ];
    Platform { collections, ..Platform::default() }
}

pub fn many(rows: i32) -> Vec<(&'static str, ArrayRef)> {
    vec![("n", Arc::new(Int32Array::from_iter_values(0..rows)))]
}

pub fn columns(rows: &[Sample]) -> Vec<(&'static str, ArrayRef)> {
    let mut tags = ListBuilder::new(StringBuilder::new());
    for row in rows {
        tags.append_option(row.tags.as_ref().map(|tags| tags.iter().map(|tag| Some(*tag)).collect::<Vec<_>>()));
    }
    let prices = Decimal128Array::from_iter(rows.iter().map(|row| row.price)).with_precision_and_scale(10, 2).unwrap();
    let at = TimestampMicrosecondArray::from_iter(rows.iter().map(|row| row.at)).with_timezone("UTC");
    let starts: ArrayRef = Arc::new(at.clone());
    let window = Fields::from(vec![Field::new("start", starts.data_type().clone(), true)]);
    let nulls = NullBuffer::from_iter(rows.iter().map(|row| row.at.is_some()));
    let window = StructArray::new(window, vec![starts], Some(nulls));
    vec![
        ("n", Arc::new(Int32Array::from_iter(rows.iter().map(|row| Some(row.n))))),
        ("yes", Arc::new(BooleanArray::from_iter(rows.iter().map(|row| row.yes)))),
        ("int", Arc::new(Int32Array::from_iter(rows.iter().map(|row| row.int)))),
        ("big", Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.big)))),
        ("double", Arc::new(Float64Array::from_iter(rows.iter().map(|row| row.double)))),
        ("price", Arc::new(prices)),
        ("text", Arc::new(StringViewArray::from_iter(rows.iter().map(|row| row.text)))),
        ("day", Arc::new(Date32Array::from_iter(rows.iter().map(|row| row.day)))),
        ("at", Arc::new(at)),
        ("tags", Arc::new(tags.finish())),
        ("hour", Arc::new(window)),
        ("count(1)", Arc::new(Int64Array::from_iter(rows.iter().map(|row| Some(i64::from(row.n) % 3))))),
    ]
}

/// One row with a value of every type, and one of nulls.
fn all_types() -> Vec<(&'static str, ArrayRef)> {
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
    map.keys().append_value("k");
    map.values().append_value(1);
    map.append(true).unwrap();
    map.append(false).unwrap();
    let start = TimestampMicrosecondArray::from(vec![Some(START), None]).with_timezone("UTC");
    let end = TimestampMicrosecondArray::from(vec![Some(START + 1), None]).with_timezone("UTC");
    let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let fields = Fields::from(vec![Field::new("start", zoned.clone(), true), Field::new("end", zoned, true)]);
    let nulls = NullBuffer::from(vec![true, false]);
    let window = StructArray::new(fields, vec![Arc::new(start), Arc::new(end)], Some(nulls));
    let decimal = Decimal128Array::from(vec![Some(-1_250), None]).with_precision_and_scale(38, 3).unwrap();
    vec![
        ("boolean", Arc::new(BooleanArray::from(vec![Some(true), None]))),
        ("tinyint", Arc::new(Int8Array::from(vec![Some(-128), None]))),
        ("smallint", Arc::new(Int16Array::from(vec![Some(32_767), None]))),
        ("int", Arc::new(Int32Array::from(vec![Some(-1), None]))),
        ("bigint", Arc::new(Int64Array::from(vec![Some(i64::MAX), None]))),
        ("float", Arc::new(Float32Array::from(vec![Some(0.1), None]))),
        ("double", Arc::new(Float64Array::from(vec![Some(1e300), None]))),
        ("decimal", Arc::new(decimal)),
        ("string", Arc::new(StringViewArray::from(vec![Some("a\"\n\u{1}é"), None]))),
        ("binary", Arc::new(BinaryViewArray::from(vec![Some([0u8, 255].as_slice()), None]))),
        ("date", Arc::new(Date32Array::from(vec![Some(-1), None]))),
        ("timestamp", Arc::new(TimestampMicrosecondArray::from(vec![Some(-1), None]).with_timezone("UTC"))),
        ("timestamp_ntz", Arc::new(TimestampMicrosecondArray::from(vec![Some(START), None]))),
        ("map", Arc::new(map.finish())),
        ("window", Arc::new(window)),
        ("plain", Arc::new(StringArray::from(vec![Some("utf8"), None]))),
    ]
}
