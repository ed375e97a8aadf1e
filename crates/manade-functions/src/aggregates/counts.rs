//! `count_if`.

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::sum;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Accumulator;

use super::{Aggregate, counted};

pub(super) static AGGREGATES: &[Aggregate] = &[Aggregate {
    name: "count_if",
    aliases: &[],
    args: |given| counted(given, 1, 1).map(|()| vec![DataType::Boolean]),
    returns: |_| Ok(DataType::Int64),
    state: |_| vec![("count", DataType::Int64)],
    accumulator: |_| Ok(Box::new(CountIf(0))),
    signature: "count_if(condition)",
    line: "Number of rows in which a condition is true.",
    difference: None,
}];

#[derive(Debug)]
struct CountIf(i64);

impl Accumulator for CountIf {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0 += values[0].as_boolean().true_count() as i64;
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(self.0)))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::Int64(Some(self.0))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.0 += sum(states[0].as_primitive::<Int64Type>()).unwrap_or(0);
        Ok(())
    }
}
