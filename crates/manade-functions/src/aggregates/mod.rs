//! Aggregate functions as data, and those that are DataFusion's own under Spark's names.
//!
//! States are columns that merge in source order: partial states of one group, concatenated in the order of their
//! events and merged again any number of times, give what one pass over the events gives.

mod counts;
mod distinct;
mod extremes;
mod moments;
mod percentile;
mod pick;
mod quantiles;
#[cfg(test)]
mod tests;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, plan_err};
use datafusion::functions_aggregate as own;
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility};
use datafusion::physical_expr::expressions::Literal;

/// An aggregate function.
#[derive(Clone, Copy)]
pub(crate) struct Aggregate {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    /// The types that arguments of the given types are cast to.
    pub args: fn(&[DataType]) -> Result<Vec<DataType>>,
    pub returns: fn(&[DataType]) -> Result<DataType>,
    /// State columns of argument types.
    pub state: fn(&[DataType]) -> Vec<(&'static str, DataType)>,
    pub accumulator: fn(&AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>>,
    pub signature: &'static str,
    pub line: &'static str,
    pub difference: Option<&'static str>,
}

impl Aggregate {
    pub(crate) fn udaf(self) -> AggregateUDF {
        AggregateUDF::new_from_impl(Udaf {
            aliases: self.aliases.iter().map(|&a| a.to_owned()).collect(),
            signature: Signature::user_defined(Volatility::Immutable),
            aggregate: self,
        })
    }
}

pub(crate) fn all() -> impl Iterator<Item = &'static Aggregate> {
    [counts::AGGREGATES, distinct::AGGREGATES, moments::AGGREGATES, percentile::AGGREGATES, pick::AGGREGATES]
        .into_iter()
        .flatten()
}

/// A function of DataFusion's, and the names that Spark has for it beside its own.
pub(crate) struct Renamed {
    pub function: fn() -> Arc<AggregateUDF>,
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    pub signature: &'static str,
    pub line: &'static str,
    pub difference: Option<&'static str>,
}

macro_rules! renamed {
    ($function:path, $name:literal, [$($alias:literal),*], $signature:literal, $line:literal) => {
        Renamed {
            function: $function,
            name: $name,
            aliases: &[$($alias),*],
            signature: $signature,
            line: $line,
            difference: None,
        }
    };
}

pub(crate) static RENAMED: &[Renamed] = &[
    renamed!(
        own::count::count_udaf,
        "count",
        [],
        "count(*), count(x, ...)",
        "Number of rows, or of those in which no argument is null."
    ),
    renamed!(
        own::sum::sum_udaf,
        "sum",
        [],
        "sum(x)",
        "Sum: bigint (which wraps) of integers, decimal of decimals, else double."
    ),
    renamed!(own::average::avg_udaf, "avg", ["mean", "try_avg"], "avg(x)", "Mean: decimal of decimals, else double."),
    renamed!(extremes::min, "min", [], "min(x)", "The least value; NaN only if there is no other."),
    renamed!(extremes::max, "max", [], "max(x)", "The greatest value; of doubles NaN, if there is one."),
    renamed!(own::bool_and_or::bool_and_udaf, "bool_and", ["every"], "bool_and(x)", "Whether x is always true."),
    renamed!(own::bool_and_or::bool_or_udaf, "bool_or", ["some", "any"], "bool_or(x)", "Whether x is true once."),
    renamed!(own::bit_and_or_xor::bit_and_udaf, "bit_and", [], "bit_and(x)", "Bits that all have."),
    renamed!(own::bit_and_or_xor::bit_or_udaf, "bit_or", [], "bit_or(x)", "Bits that one has."),
    renamed!(own::bit_and_or_xor::bit_xor_udaf, "bit_xor", [], "bit_xor(x)", "Bits that an odd number have."),
    renamed!(
        own::variance::var_samp_udaf,
        "var_samp",
        ["variance"],
        "var_samp(x)",
        "Sample variance; null of one value."
    ),
    renamed!(own::variance::var_pop_udaf, "var_pop", [], "var_pop(x)", "Population variance."),
    renamed!(
        own::stddev::stddev_udaf,
        "stddev",
        ["std", "stddev_samp"],
        "stddev(x)",
        "Sample standard deviation; null of one value."
    ),
    renamed!(own::stddev::stddev_pop_udaf, "stddev_pop", [], "stddev_pop(x)", "Population standard deviation."),
    renamed!(datafusion_spark::function::aggregate::try_sum, "try_sum", [], "try_sum(x)", "Sum; null on overflow."),
];

/// The value of argument `index` if it is a constant.
pub(super) fn constant<'a>(args: &'a AccumulatorArgs<'_>, index: usize) -> Option<&'a ScalarValue> {
    args.exprs.get(index)?.downcast_ref::<Literal>().map(Literal::value)
}

/// Between `least` and `most` arguments, of the types given.
pub(super) fn counted(given: &[DataType], least: usize, most: usize) -> Result<()> {
    if (least..=most).contains(&given.len()) {
        return Ok(());
    }
    plan_err!("{least} to {most} arguments are needed, not {}", given.len())
}

/// An [`Aggregate`] as DataFusion sees it.
struct Udaf {
    aggregate: Aggregate,
    aliases: Vec<String>,
    signature: Signature,
}

impl fmt::Debug for Udaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Udaf({})", self.aggregate.name)
    }
}

impl PartialEq for Udaf {
    fn eq(&self, other: &Self) -> bool {
        self.aggregate.name == other.aggregate.name
    }
}

impl Eq for Udaf {}

impl Hash for Udaf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.aggregate.name.hash(state);
    }
}

impl AggregateUDFImpl for Udaf {
    fn name(&self) -> &str {
        self.aggregate.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        (self.aggregate.args)(given)
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        (self.aggregate.returns)(&(self.aggregate.args)(given)?)
    }

    fn state_fields(&self, args: StateFieldsArgs<'_>) -> Result<Vec<FieldRef>> {
        let given: Vec<_> = args.input_fields.iter().map(|f| f.data_type().clone()).collect();
        let fields = (self.aggregate.state)(&given);
        Ok(fields.into_iter().map(|(n, t)| Arc::new(Field::new(format!("{}[{n}]", args.name), t, true))).collect())
    }

    fn accumulator(&self, args: AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
        (self.aggregate.accumulator)(&args)
    }

    fn supports_null_handling_clause(&self) -> bool {
        true
    }

    fn default_value(&self, data_type: &DataType) -> Result<ScalarValue> {
        if self.aggregate.name == "count_if" || *data_type == DataType::Int64 && self.aggregate.name.contains("count") {
            return Ok(ScalarValue::Int64(Some(0)));
        }
        ScalarValue::try_from(data_type)
    }
}
