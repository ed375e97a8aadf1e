//! `min` and `max`: DataFusion's, but for floats, whose NaN and infinities it loses. NaN is the greatest number, and of
//! equals, which 0.0 and -0.0 are, the first event's holds. The state is one value, as DataFusion's.

use std::fmt::Debug;
use std::mem::size_of_val;
use std::sync::Arc;

use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray};
use arrow::compute::nullif;
use arrow::datatypes::{DataType, FieldRef, Float32Type, Float64Type};
use datafusion::common::{Result, ScalarValue};
use datafusion::functions_aggregate::min_max::{max_udaf, min_udaf};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::utils::AggregateOrderSensitivity;
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, EmitTo, GroupsAccumulator, ReversedUDAF, Signature,
};

use crate::columns::At;

pub(super) fn min() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(Extreme { own: min_udaf(), greatest: false }))
}

pub(super) fn max() -> Arc<AggregateUDF> {
    Arc::new(AggregateUDF::new_from_impl(Extreme { own: max_udaf(), greatest: true }))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Extreme {
    own: Arc<AggregateUDF>,
    greatest: bool,
}

impl AggregateUDFImpl for Extreme {
    fn name(&self) -> &str {
        self.own.name()
    }

    fn signature(&self) -> &Signature {
        self.own.signature()
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        self.own.coerce_types(given)
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.own.return_type(given)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        self.own.state_fields(args)
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        Ok(match args.return_field.data_type() {
            DataType::Float32 => Box::new(One(Floats::<Float32Type>::new(self.greatest))),
            DataType::Float64 => Box::new(One(Floats::<Float64Type>::new(self.greatest))),
            _ => return self.own.accumulator(args),
        })
    }

    fn groups_accumulator_supported(&self, args: AccumulatorArgs<'_>) -> bool {
        self.own.groups_accumulator_supported(args)
    }

    fn create_groups_accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn GroupsAccumulator>> {
        Ok(match args.return_field.data_type() {
            DataType::Float32 => Box::new(Floats::<Float32Type>::new(self.greatest)),
            DataType::Float64 => Box::new(Floats::<Float64Type>::new(self.greatest)),
            _ => return self.own.create_groups_accumulator(args),
        })
    }

    fn order_sensitivity(&self) -> AggregateOrderSensitivity {
        self.own.order_sensitivity()
    }

    fn reverse_expr(&self) -> ReversedUDAF {
        ReversedUDAF::Identical
    }
}

/// The extreme of each group, null until there is one.
#[derive(Debug)]
struct Floats<T: ArrowPrimitiveType> {
    held: Vec<Option<T::Native>>,
    greatest: bool,
}

impl<T: ArrowPrimitiveType<Native: Into<f64>>> Floats<T> {
    fn new(greatest: bool) -> Self {
        Self { held: Vec::new(), greatest }
    }

    fn take(&mut self, group: usize, value: T::Native) {
        let held = &mut self.held[group];
        let better = held.is_none_or(|held| {
            let (value, held) = (value.into(), held.into());
            if self.greatest {
                value > held || value.is_nan() && !held.is_nan()
            } else {
                value < held || held.is_nan() && !value.is_nan()
            }
        });
        if better {
            *held = Some(value);
        }
    }
}

impl<T: ArrowPrimitiveType<Native: Into<f64>>> GroupsAccumulator for Floats<T> {
    fn update_batch(
        &mut self,
        values: &[ArrayRef],
        groups: &[usize],
        filter: Option<&BooleanArray>,
        total: usize,
    ) -> Result<()> {
        self.held.resize(total, None);
        let values = values[0].as_primitive::<T>();
        for (row, &group) in groups.iter().enumerate() {
            if filter.is_none_or(|filter| filter.at(row) == Some(true))
                && let Some(value) = values.at(row)
            {
                self.take(group, value);
            }
        }
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef], groups: &[usize], total: usize) -> Result<()> {
        self.update_batch(states, groups, None, total)
    }

    fn evaluate(&mut self, emit: EmitTo) -> Result<ArrayRef> {
        Ok(Arc::new(PrimitiveArray::<T>::from_iter(emit.take_needed(&mut self.held))))
    }

    fn state(&mut self, emit: EmitTo) -> Result<Vec<ArrayRef>> {
        Ok(vec![self.evaluate(emit)?])
    }

    fn convert_to_state(&self, values: &[ArrayRef], filter: Option<&BooleanArray>) -> Result<Vec<ArrayRef>> {
        let Some(filter) = filter else { return Ok(values.to_vec()) };
        let left_out: BooleanArray = filter.iter().map(|kept| Some(kept != Some(true))).collect();
        Ok(vec![nullif(&values[0], &left_out)?])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.held.capacity() * size_of::<Option<T::Native>>()
    }
}

/// One group.
#[derive(Debug)]
struct One<T: ArrowPrimitiveType>(Floats<T>);

impl<T: ArrowPrimitiveType<Native: Into<f64>> + Debug> Accumulator for One<T> {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.0.held.resize(1, None);
        values[0].as_primitive::<T>().iter().flatten().for_each(|value| self.0.take(0, value));
        Ok(())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.update_batch(states)
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let held = self.0.held.first().copied().flatten();
        ScalarValue::new_primitive::<T>(held, &T::DATA_TYPE)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.0.held.capacity() * size_of::<Option<T::Native>>()
    }
}
