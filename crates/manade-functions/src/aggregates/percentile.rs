//! `percentile_approx`.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::Accumulator;
use datafusion::logical_expr::function::AccumulatorArgs;

use super::quantiles::Summary;
use super::{Aggregate, constant, counted};
use crate::cast::cast_column;
use crate::columns::{At, binaries};
use crate::types::{self, is_text, list_of};

pub(super) static AGGREGATES: &[Aggregate] = &[Aggregate {
    name: "percentile_approx",
    aliases: &["approx_percentile"],
    args: |given| {
        counted(given, 2, 3)?;
        let value = match &given[0] {
            t if is_text(t) || *t == DataType::Null => DataType::Float64,
            t if t.is_numeric() || t.is_temporal() => t.clone(),
            t => {
                return plan_err!(
                    "percentile_approx() takes numbers, dates and timestamps, not {}",
                    types::spark_name(t)
                );
            }
        };
        let percentage =
            if matches!(given[1], DataType::List(_)) { list_of(DataType::Float64) } else { DataType::Float64 };
        let rest = given[2..].iter().map(|_| DataType::Int64);
        Ok([value, percentage].into_iter().chain(rest).collect())
    },
    returns: |given| {
        Ok(if matches!(given[1], DataType::List(_)) { list_of(given[0].clone()) } else { given[0].clone() })
    },
    state: |_| vec![("summary", DataType::BinaryView)],
    accumulator,
    signature: "percentile_approx(x, percentage or array[, accuracy])",
    line: "The least x at or above a share (0 to 1) of all; its rank is off by at most count / accuracy (10000).",
    difference: None,
}];

fn accumulator(args: &AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
    let percentages = match constant(args, 1) {
        Some(ScalarValue::List(list)) => {
            let values = cast_column(&list.value(0), &DataType::Float64)?;
            values.as_primitive::<Float64Type>().iter().flatten().collect::<Vec<_>>()
        }
        Some(ScalarValue::Float64(Some(percentage))) => vec![*percentage],
        _ => return plan_err!("the percentage of percentile_approx() must be a constant"),
    };
    if percentages.is_empty() || percentages.iter().any(|p| !(0.0..=1.0).contains(p)) {
        return plan_err!("the percentages of percentile_approx() must be between 0 and 1");
    }
    let accuracy = match constant(args, 2) {
        None if args.exprs.len() < 3 => 10_000,
        Some(ScalarValue::Int64(Some(accuracy @ 1..))) => *accuracy,
        _ => return plan_err!("the accuracy of percentile_approx() must be a positive constant"),
    };
    Ok(Box::new(Percentile {
        summary: Summary::new(1.0 / accuracy as f64),
        percentages,
        value: args.expr_fields[0].data_type().clone(),
        list: matches!(args.return_type(), DataType::List(_)),
        merged: false,
    }))
}

#[derive(Debug)]
struct Percentile {
    summary: Summary,
    percentages: Vec<f64>,
    /// Type of x.
    value: DataType,
    list: bool,
    /// Other states were merged into this one.
    merged: bool,
}

/// Values as doubles: dates in days, timestamps in microseconds.
fn as_doubles(values: &ArrayRef) -> Result<ArrayRef> {
    match values.data_type() {
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let micros = arrow::compute::cast(values, &DataType::Int64)?;
            let micros = micros.as_primitive::<Int64Type>();
            Ok(Arc::new(micros.unary::<_, Float64Type>(|v| v as f64)))
        }
        DataType::Date32 => cast_column(&arrow::compute::cast(values, &DataType::Int32)?, &DataType::Float64),
        _ => cast_column(values, &DataType::Float64),
    }
}

fn from_doubles(values: Vec<f64>, to: &DataType) -> Result<ArrayRef> {
    let values: ArrayRef = Arc::new(Float64Array::from(values));
    match to {
        DataType::Timestamp(..) => Ok(arrow::compute::cast(&cast_column(&values, &DataType::Int64)?, to)?),
        DataType::Date32 => Ok(arrow::compute::cast(&cast_column(&values, &DataType::Int32)?, to)?),
        _ => cast_column(&values, to),
    }
}

impl Accumulator for Percentile {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let values = as_doubles(&values[0])?;
        values.as_primitive::<Float64Type>().iter().flatten().for_each(|v| self.summary.insert(v));
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let Some(values) = self.summary.query(&self.percentages) else {
            let t = if self.list { list_of(self.value.clone()) } else { self.value.clone() };
            return ScalarValue::try_from(&t);
        };
        let values = from_doubles(values, &self.value)?;
        if !self.list {
            return ScalarValue::try_from_array(&values, 0);
        }
        let scalars = (0..values.len()).map(|i| ScalarValue::try_from_array(&values, i)).collect::<Result<Vec<_>>>()?;
        Ok(ScalarValue::List(ScalarValue::new_list_nullable(&scalars, &self.value)))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.summary.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        // The state of a portion keeps all values; what is stored is compressed.
        if self.merged {
            self.summary.compress();
        }
        Ok(vec![ScalarValue::BinaryView(Some(self.summary.encode()))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.merged = true;
        let states = binaries(&states[0]);
        for bytes in (0..states.len()).filter_map(|row| states.at(row)) {
            match Summary::from_bytes(bytes) {
                Some(summary) => self.summary.merge(summary),
                None => return exec_err!("the state of percentile_approx() is damaged"),
            }
        }
        Ok(())
    }
}
