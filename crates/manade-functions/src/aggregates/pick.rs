//! Aggregates whose value is one of their inputs: first, last, `any_value`, `max_by`, `min_by`. Among equals the order of
//! the events decides.

use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::SortOptions;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Accumulator;
use datafusion::logical_expr::function::AccumulatorArgs;

use super::{Aggregate, constant, counted};
use crate::columns::comparable;

pub(super) static AGGREGATES: &[Aggregate] = &[
    Aggregate {
        name: "first",
        aliases: &["first_value"],
        accumulator: |args| position(args, false),
        signature: "first(x[, ignore nulls])",
        line: "The value of the first event; with true or IGNORE NULLS the first that is not null.",
        ..PICK
    },
    Aggregate {
        name: "last",
        aliases: &["last_value"],
        accumulator: |args| position(args, true),
        signature: "last(x[, ignore nulls])",
        line: "The value of the last event; with true or IGNORE NULLS the last that is not null.",
        ..PICK
    },
    Aggregate {
        name: "any_value",
        accumulator: |args| position(args, false),
        signature: "any_value(x[, ignore nulls])",
        line: "As first.",
        ..PICK
    },
    Aggregate {
        name: "max_by",
        accumulator: |args| extreme(args, true),
        signature: "max_by(x, y)",
        line: "The x of the greatest y that is not null; of equals the last.",
        ..BY
    },
    Aggregate {
        name: "min_by",
        accumulator: |args| extreme(args, false),
        signature: "min_by(x, y)",
        line: "The x of the least y that is not null; of equals the last.",
        ..BY
    },
];

const PICK: Aggregate = Aggregate {
    name: "",
    aliases: &[],
    args: |given| {
        counted(given, 1, 2)?;
        Ok(std::iter::once(given[0].clone()).chain(given[1..].iter().map(|_| DataType::Boolean)).collect())
    },
    returns: |given| Ok(given[0].clone()),
    state: |given| vec![("value", given[0].clone()), ("set", DataType::Boolean)],
    accumulator: |args| position(args, false),
    signature: "",
    line: "",
    difference: None,
};

const BY: Aggregate = Aggregate {
    args: |given| counted(given, 2, 2).map(|()| given.to_vec()),
    state: |given| vec![("value", given[0].clone()), ("by", given[1].clone())],
    ..PICK
};

fn position(args: &AccumulatorArgs<'_>, last: bool) -> Result<Box<dyn Accumulator>> {
    let told = matches!(constant(args, 1), Some(ScalarValue::Boolean(Some(true))));
    let value = ScalarValue::try_from(args.return_type())?;
    Ok(Box::new(Position { value, set: false, last, valid_only: args.ignore_nulls || told }))
}

#[derive(Debug)]
struct Position {
    value: ScalarValue,
    set: bool,
    last: bool,
    valid_only: bool,
}

impl Position {
    fn take(&mut self, values: &ArrayRef, rows: impl DoubleEndedIterator<Item = usize>) -> Result<()> {
        if self.set && !self.last {
            return Ok(());
        }
        let mut rows = rows;
        if let Some(row) = if self.last { rows.next_back() } else { rows.next() } {
            // Compacted, because it would keep the memory of the whole batch.
            self.value = ScalarValue::try_from_array(values, row)?;
            self.value.compact();
            self.set = true;
        }
        Ok(())
    }
}

impl Accumulator for Position {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let valid_only = self.valid_only;
        let nulls = values[0].logical_nulls();
        let wanted = |row: &usize| !valid_only || nulls.as_ref().is_none_or(|n| n.is_valid(*row));
        self.take(&values[0], (0..values[0].len()).filter(wanted))
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        size_of_val(self) - size_of_val(&self.value) + self.value.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.value.clone(), ScalarValue::Boolean(Some(self.set))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let set = states[1].as_boolean();
        self.take(&states[0], (0..set.len()).filter(|&row| set.is_valid(row) && set.value(row)))
    }
}

fn extreme(args: &AccumulatorArgs<'_>, greatest: bool) -> Result<Box<dyn Accumulator>> {
    let value = ScalarValue::try_from(args.return_type())?;
    let by = ScalarValue::try_from(args.expr_fields[1].data_type())?;
    Ok(Box::new(Extreme { value, by, greatest }))
}

/// The value beside the extreme `by`, which is null until there is one.
#[derive(Debug)]
struct Extreme {
    value: ScalarValue,
    by: ScalarValue,
    greatest: bool,
}

impl Extreme {
    fn take(&mut self, values: &ArrayRef, by: &ArrayRef) -> Result<()> {
        let Some(nulls) = by.logical_nulls() else { return self.best(values, by, 0..by.len()) };
        self.best(values, by, (0..by.len()).filter(|&row| nulls.is_valid(row)))
    }

    fn best(&mut self, values: &ArrayRef, by: &ArrayRef, rows: impl Iterator<Item = usize>) -> Result<()> {
        let keys = comparable(by)?;
        let compare = arrow::array::make_comparator(&keys, &keys, SortOptions::default())?;
        let better = |ordering: Ordering| ordering.is_eq() || ordering.is_gt() == self.greatest;
        let Some(row) = rows.reduce(|best, row| if better(compare(row, best)) { row } else { best }) else {
            return Ok(());
        };
        if !self.by.is_null() {
            let held = comparable(&self.by.to_array()?)?;
            let against = arrow::array::make_comparator(&keys, &held, SortOptions::default())?;
            if !better(against(row, 0)) {
                return Ok(());
            }
        }
        self.value = ScalarValue::try_from_array(values, row)?;
        self.value.compact();
        self.by = ScalarValue::try_from_array(by, row)?;
        self.by.compact();
        Ok(())
    }
}

impl Accumulator for Extreme {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        self.take(&values[0], &values[1])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(self.value.clone())
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.value.size() + self.by.size()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.value.clone(), self.by.clone()])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        self.take(&states[0], &states[1])
    }
}
