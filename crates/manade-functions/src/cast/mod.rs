//! Spark's CAST with `spark.sql.ansi.enabled=false`: what does not fit is null, integers wrap, text is parsed leniently
//! (<https://spark.apache.org/docs/latest/sql-ref-ansi-compliance.html#cast>).

mod parse;
mod show;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryViewArray, ListArray, MapArray, StructArray, new_null_array};
use arrow::compute::cast as arrow_cast;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::{Result, exec_err};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

pub(crate) use parse::{
    days_of, parse_boolean, parse_date, parse_decimal, parse_double, parse_integer, parse_timestamp, zone_offset,
};
pub(crate) use show::{put, scientific, show_decimal, show_double, show_float, show_timestamp, show_value};

use crate::columns::{At, binaries, booleans, bytes, numbers, strings, written};
use crate::types::{self, is_binary, is_float, is_text};

const MICROS: i64 = 1_000_000;

/// `expr` as `to`, as Spark's CAST converts it.
pub fn cast(expr: Expr, to: DataType) -> Expr {
    Expr::ScalarFunction(datafusion::logical_expr::expr::ScalarFunction::new_udf(
        Arc::new(ScalarUDF::new_from_impl(CastTo::new(to))),
        vec![expr],
    ))
}

/// Whether there is a cast from `from` to `to`, which then gives a value or null. Of nested types only the outermost are
/// compared.
pub fn castable(from: &DataType, to: &DataType) -> bool {
    let is_nested = |t: &DataType| matches!(t, DataType::List(_) | DataType::Map(..) | DataType::Struct(_));
    match from {
        DataType::Null => true,
        DataType::Interval(_) => false,
        from if is_nested(from) => is_text(to) || std::mem::discriminant(from) == std::mem::discriminant(to),
        _ if is_nested(to) => false,
        DataType::Duration(unit) => is_text(to) || (*unit == TimeUnit::Second && to.is_numeric()),
        DataType::Date32 => !is_binary(to),
        from if is_binary(from) => is_text(to),
        from if is_binary(to) => is_text(from) || from.is_integer(),
        from => *to != DataType::Date32 || is_text(from) || from.is_temporal(),
    }
}

/// Whether Arrow's cast from `from` to `to` gives what Spark's gives.
pub(crate) fn plain(from: &DataType, to: &DataType) -> bool {
    let integer = |t: &DataType| t.is_signed_integer().then(|| t.primitive_width()).flatten();
    match (from, to) {
        _ if from == to => true,
        (DataType::Null, _) => true,
        _ if is_text(from) && is_text(to) || is_binary(from) && is_binary(to) => true,
        (DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64, t) if integer(t) > integer(from) => true,
        (f, t) if f.is_integer() && is_float(t) => true,
        (DataType::Float32, DataType::Float64) => true,
        (DataType::Boolean, t) if t.is_numeric() && !matches!(t, DataType::Decimal128(..)) => true,
        (f, t) if f.is_integer() && is_text(t) => true,
        (DataType::Date32, t) if is_text(t) => true,
        (DataType::Duration(_), t) if is_text(t) => false,
        (DataType::Interval(_) | DataType::Duration(_) | DataType::Dictionary(..), _)
        | (DataType::Int64, DataType::Duration(_))
        | (_, DataType::Dictionary(..)) => true,
        _ => false,
    }
}

/// Casts a column.
pub(crate) fn cast_column(column: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let from = column.data_type();
    if *to == DataType::Null {
        // What was stored as another type, because columns of nulls have none.
        return Ok(new_null_array(to, column.len()));
    }
    if plain(from, to) {
        return Ok(arrow_cast(column, to)?);
    }
    if is_text(from) {
        return from_text(&arrow_cast(column, &DataType::Utf8View)?, to);
    }
    let shown = match to {
        t if is_text(t) => Some(to_text(column)?),
        t if is_binary(t) => Some(to_bytes(column)?),
        _ => None,
    };
    if let Some(shown) = shown {
        return Ok(arrow_cast(&shown, to)?);
    }
    match (from, to) {
        (DataType::List(_) | DataType::Map(..) | DataType::Struct(_), _) => cast_nested(column, to),
        (DataType::Timestamp(TimeUnit::Microsecond, _), _) => from_timestamp(column, to),
        (DataType::Timestamp(_, zone), _) => {
            let micros = DataType::Timestamp(TimeUnit::Microsecond, zone.clone());
            cast_column(&arrow_cast(column, &micros)?, to)
        }
        (DataType::Date32, DataType::Timestamp(..)) => {
            let column = column.as_primitive::<Date32Type>();
            numbers::<TimestampMicrosecondType>(column.len(), to, |i| Some(i64::from(column.at(i)?) * 86_400 * MICROS))
        }
        // A date is no number; Spark takes the cast and gives null.
        (DataType::Date32, t) if t.is_numeric() || *t == DataType::Boolean => Ok(new_null_array(to, column.len())),
        (DataType::Decimal128(..), _) => from_decimal(column, to),
        (f, _) if f.is_numeric() || *f == DataType::Boolean => from_number(column, to),
        _ => exec_err!("{} cannot be cast to {}", types::spark_name(from), types::spark_name(to)),
    }
}

/// Integers as their bytes, the highest first.
fn to_bytes(column: &ArrayRef) -> Result<ArrayRef> {
    macro_rules! integers {
        ($t:ty) => {{
            let values = column.as_primitive::<$t>();
            bytes(values.len(), |i| values.at(i).map(|value| value.to_be_bytes()))
        }};
    }
    match column.data_type() {
        DataType::Int8 => integers!(Int8Type),
        DataType::Int16 => integers!(Int16Type),
        DataType::Int32 => integers!(Int32Type),
        DataType::Int64 => integers!(Int64Type),
        other => exec_err!("{} cannot be cast to binary", types::spark_name(other)),
    }
}

fn to_text(column: &ArrayRef) -> Result<ArrayRef> {
    if is_binary(column.data_type()) {
        let column = arrow_cast(column, &DataType::BinaryView)?;
        let column = binaries(&column);
        return written(column.len(), |i, out| {
            out.push_str(&String::from_utf8_lossy(column.at(i)?));
            Some(())
        });
    }
    written(column.len(), |i, out| {
        column.is_valid(i).then_some(())?;
        show_value(column, i, out);
        Some(())
    })
}

fn from_text(column: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let text = strings(column);
    let rows = text.len();
    let integer = |i: usize, min: i64, max: i64| parse_integer(text.at(i)?).filter(|v| (min..=max).contains(v));
    match to {
        DataType::Int8 => {
            numbers::<Int8Type>(rows, to, |i| integer(i, i8::MIN.into(), i8::MAX.into()).map(|v| v as i8))
        }
        DataType::Int16 => {
            numbers::<Int16Type>(rows, to, |i| integer(i, i16::MIN.into(), i16::MAX.into()).map(|v| v as i16))
        }
        DataType::Int32 => {
            numbers::<Int32Type>(rows, to, |i| integer(i, i32::MIN.into(), i32::MAX.into()).map(|v| v as i32))
        }
        DataType::Int64 => numbers::<Int64Type>(rows, to, |i| parse_integer(text.at(i)?)),
        DataType::Float32 => numbers::<Float32Type>(rows, to, |i| parse_double(text.at(i)?).map(|v| v as f32)),
        DataType::Float64 => numbers::<Float64Type>(rows, to, |i| parse_double(text.at(i)?)),
        DataType::Decimal128(p, s) => numbers::<Decimal128Type>(rows, to, |i| parse_decimal(text.at(i)?, *p, *s)),
        DataType::Boolean => booleans(rows, |i| parse_boolean(text.at(i)?)),
        DataType::Date32 => numbers::<Date32Type>(rows, to, |i| parse_date(text.at(i)?)),
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            let zoned = zone.is_some();
            numbers::<TimestampMicrosecondType>(rows, to, |i| parse_timestamp(text.at(i)?, zoned))
        }
        t if is_binary(t) => {
            let bytes: BinaryViewArray = (0..rows).map(|i| text.at(i).map(str::as_bytes)).collect();
            Ok(arrow_cast(&bytes, to)?)
        }
        DataType::Interval(_) => Ok(arrow_cast(column, to)?),
        _ => exec_err!("string cannot be cast to {}", types::spark_name(to)),
    }
}

fn from_timestamp(column: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let times = column.as_primitive::<TimestampMicrosecondType>();
    let rows = times.len();
    match to {
        DataType::Timestamp(TimeUnit::Microsecond, _) => Ok(Arc::new(times.clone().with_data_type(to.clone()))),
        DataType::Timestamp(..) => Ok(arrow_cast(column, to)?),
        DataType::Date32 => numbers::<Date32Type>(rows, to, |i| Some(times.at(i)?.div_euclid(86_400 * MICROS) as i32)),
        DataType::Float64 => numbers::<Float64Type>(rows, to, |i| Some(times.at(i)? as f64 / MICROS as f64)),
        DataType::Float32 => numbers::<Float32Type>(rows, to, |i| Some((times.at(i)? as f64 / MICROS as f64) as f32)),
        DataType::Decimal128(p, s) => numbers::<Decimal128Type>(rows, to, |i| rescale(times.at(i)?.into(), 6, *p, *s)),
        t if t.is_integer() => {
            // Unlike integers, seconds that do not fit do not wrap.
            let (least, most) = match t {
                DataType::Int8 => (i8::MIN.into(), i8::MAX.into()),
                DataType::Int16 => (i16::MIN.into(), i16::MAX.into()),
                DataType::Int32 => (i32::MIN.into(), i32::MAX.into()),
                _ => (i64::MIN, i64::MAX),
            };
            let seconds = |i: usize| Some(times.at(i)?.div_euclid(MICROS)).filter(|s| (least..=most).contains(s));
            cast_column(&numbers::<Int64Type>(rows, &DataType::Int64, seconds)?, to)
        }
        DataType::Boolean => booleans(rows, |i| Some(times.at(i)? != 0)),
        _ => exec_err!("timestamp cannot be cast to {}", types::spark_name(to)),
    }
}

/// `value` of scale `from` at scale `scale`, rounded half up; none if it needs more than `precision` digits.
pub(crate) fn rescale(value: i128, from: i8, precision: u8, scale: i8) -> Option<i128> {
    let steps = i32::from(scale) - i32::from(from);
    let scaled = if steps >= 0 {
        value.checked_mul(10_i128.checked_pow(steps as u32)?)?
    } else {
        let unit = 10_i128.checked_pow((-steps) as u32)?;
        let (whole, rest) = (value / unit, value % unit);
        // The remainder's double cannot overflow: it is below 10^38.
        whole + if rest.abs() >= unit - rest.abs() { value.signum() } else { 0 }
    };
    (scaled.unsigned_abs() < 10_u128.pow(precision.into())).then_some(scaled)
}

fn from_decimal(column: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let DataType::Decimal128(_, scale) = *column.data_type() else {
        return exec_err!("not a decimal: {}", column.data_type());
    };
    let values = column.as_primitive::<Decimal128Type>();
    let rows = values.len();
    let unit = 10_i128.pow(scale.max(0) as u32);
    let double = |v: i128| decimal_to_double(v, scale);
    match to {
        DataType::Decimal128(p, s) => numbers::<Decimal128Type>(rows, to, |i| rescale(values.at(i)?, scale, *p, *s)),
        DataType::Float64 => numbers::<Float64Type>(rows, to, |i| Some(double(values.at(i)?))),
        DataType::Float32 => numbers::<Float32Type>(rows, to, |i| Some(double(values.at(i)?) as f32)),
        DataType::Boolean => booleans(rows, |i| Some(values.at(i)? != 0)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => numbers::<TimestampMicrosecondType>(rows, to, |i| {
            // What is too large wraps, as Java's longs do.
            let (whole, rest) = (values.at(i)? / unit, values.at(i)? % unit);
            let fraction =
                rest.checked_mul(MICROS.into()).map_or_else(|| rest / (unit / 1_000_000), |micros| micros / unit);
            Some(whole.wrapping_mul(MICROS.into()).wrapping_add(fraction) as i64)
        }),
        t if t.is_integer() => {
            let whole = numbers::<Int64Type>(rows, &DataType::Int64, |i| Some((values.at(i)? / unit) as i64))?;
            cast_column(&whole, to)
        }
        _ => exec_err!("decimal cannot be cast to {}", types::spark_name(to)),
    }
}

/// The nearest double.
pub(crate) fn decimal_to_double(value: i128, scale: i8) -> f64 {
    if value.unsigned_abs() < 1 << 53 && (0..=22).contains(&scale) {
        return value as f64 / 10_f64.powi(scale.into());
    }
    format!("{value}e{}", -i32::from(scale)).parse().unwrap_or(f64::NAN)
}

/// From booleans, integers and floats.
fn from_number(column: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    let from = column.data_type();
    let rows = column.len();
    if is_float(from) {
        let values = arrow_cast(column, &DataType::Float64)?;
        let values = values.as_primitive::<Float64Type>();
        return match to {
            // A double to a narrow integer goes by way of int, as in Java.
            DataType::Int8 => numbers::<Int8Type>(rows, to, |i| Some(values.at(i)? as i32 as i8)),
            DataType::Int16 => numbers::<Int16Type>(rows, to, |i| Some(values.at(i)? as i32 as i16)),
            DataType::Int32 => numbers::<Int32Type>(rows, to, |i| Some(values.at(i)? as i32)),
            DataType::Int64 => numbers::<Int64Type>(rows, to, |i| Some(values.at(i)? as i64)),
            DataType::Float32 => numbers::<Float32Type>(rows, to, |i| Some(values.at(i)? as f32)),
            DataType::Boolean => booleans(rows, |i| Some(values.at(i)? != 0.0)),
            DataType::Decimal128(p, s) => numbers::<Decimal128Type>(rows, to, |i| {
                parse_decimal(&values.at(i).filter(|v| v.is_finite())?.to_string(), *p, *s)
            }),
            DataType::Timestamp(TimeUnit::Microsecond, _) => numbers::<TimestampMicrosecondType>(rows, to, |i| {
                Some((values.at(i).filter(|v| v.is_finite())? * MICROS as f64) as i64)
            }),
            _ => exec_err!("{} cannot be cast to {}", types::spark_name(from), types::spark_name(to)),
        };
    }
    let values = arrow_cast(column, &DataType::Int64)?;
    let values = values.as_primitive::<Int64Type>();
    // Numbers are seconds; true is one microsecond.
    let unit = if *from == DataType::Boolean { 1 } else { MICROS };
    match to {
        DataType::Int8 => numbers::<Int8Type>(rows, to, |i| Some(values.at(i)? as i8)),
        DataType::Int16 => numbers::<Int16Type>(rows, to, |i| Some(values.at(i)? as i16)),
        DataType::Int32 => numbers::<Int32Type>(rows, to, |i| Some(values.at(i)? as i32)),
        DataType::Int64 => Ok(Arc::new(values.clone())),
        DataType::Boolean => booleans(rows, |i| Some(values.at(i)? != 0)),
        DataType::Decimal128(p, s) => numbers::<Decimal128Type>(rows, to, |i| rescale(values.at(i)?.into(), 0, *p, *s)),
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            numbers::<TimestampMicrosecondType>(rows, to, |i| Some(values.at(i)?.saturating_mul(unit)))
        }
        _ => exec_err!("{} cannot be cast to {}", types::spark_name(from), types::spark_name(to)),
    }
}

fn cast_nested(column: &ArrayRef, to: &DataType) -> Result<ArrayRef> {
    match (column.data_type(), to) {
        (DataType::List(_), DataType::List(field)) => {
            let list = column.as_list::<i32>();
            let values = cast_column(list.values(), field.data_type())?;
            Ok(Arc::new(ListArray::try_new(field.clone(), list.offsets().clone(), values, list.nulls().cloned())?))
        }
        (DataType::Struct(from), DataType::Struct(fields)) if from.len() == fields.len() => {
            let parts = column.as_struct();
            let columns = parts.columns().iter().zip(fields);
            let columns = columns.map(|(c, f)| cast_column(c, f.data_type())).collect::<Result<Vec<_>>>()?;
            Ok(Arc::new(StructArray::try_new_with_length(
                fields.clone(),
                columns,
                parts.nulls().cloned(),
                parts.len(),
            )?))
        }
        (DataType::Map(..), DataType::Map(field, sorted)) => {
            let map = column.as_map();
            let entries: ArrayRef = Arc::new(map.entries().clone());
            let entries = cast_nested(&entries, field.data_type())?.as_struct().clone();
            let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
            Ok(Arc::new(MapArray::try_new(field.clone(), offsets, entries, nulls, *sorted)?))
        }
        (from, _) if column.null_count() == column.len() => {
            let _ = from;
            Ok(new_null_array(to, column.len()))
        }
        (from, _) => exec_err!("{} cannot be cast to {}", types::spark_name(from), types::spark_name(to)),
    }
}

/// The function that a CAST becomes.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct CastTo {
    to: DataType,
    signature: Signature,
}

impl CastTo {
    pub(crate) fn new(to: DataType) -> Self {
        Self { to, signature: Signature::any(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for CastTo {
    fn name(&self) -> &'static str {
        "cast"
    }

    fn display_name(&self, args: &[Expr]) -> Result<String> {
        self.schema_name(args)
    }

    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        let args: Vec<_> = args.iter().map(|a| a.schema_name().to_string()).collect();
        Ok(format!("CAST({} AS {})", args.join(", "), types::spark_name(&self.to).to_uppercase()))
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.to.clone())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        crate::function::call(&args, |columns, to| cast_column(&columns[0], to))
    }
}
