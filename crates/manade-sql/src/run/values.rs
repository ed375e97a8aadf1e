//! What aggregates make of their values.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array, ListArray, StringViewArray, UInt32Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Decimal128Type, Field, Float64Type, Int64Type};

use crate::bind::EntryKind;
use crate::error::SqlError;

/// Values without nulls, group after group.
pub struct Grouped {
    pub values: Vec<ArrayRef>,
    /// How often each value occurs.
    pub counts: Vec<i64>,
    /// Values of each group.
    pub lengths: Vec<usize>,
}

impl Grouped {
    /// One value a group.
    pub fn aggregate(&self, kind: &EntryKind, data_type: &DataType) -> Result<ArrayRef, SqlError> {
        let first = &self.values[0];
        Ok(match kind {
            EntryKind::CountDistinct => {
                Arc::new(Int64Array::from(self.lengths.iter().map(|length| *length as i64).collect::<Vec<_>>()))
            }
            EntryKind::SumDistinct => self.sums(data_type)?,
            EntryKind::AvgDistinct => {
                let values = doubles(first)?;
                let mean = |start: usize, end: usize| {
                    let sum: f64 = (start..end).map(|row| values.value(row)).sum();
                    (end > start).then(|| sum / (end - start) as f64)
                };
                Arc::new(self.groups().map(|(start, end)| mean(start, end)).collect::<Float64Array>())
            }
            EntryKind::Set | EntryKind::List => self.lists(data_type)?,
            EntryKind::Percentile { fractions, many, discrete, distinct } => {
                self.percentiles(fractions, *many, *discrete, *distinct)?
            }
            EntryKind::Mode => {
                let commonest = self.groups().map(|(start, end)| {
                    // The first of the commonest: values are in their own order.
                    (start..end).rev().max_by_key(|row| self.counts[*row]).map(|row| row as u32)
                });
                take(first, &commonest.collect::<UInt32Array>(), None)?
            }
            EntryKind::Join { delimiter, .. } => {
                let texts = cast(first, &DataType::Utf8View)?;
                let texts = texts.as_string_view();
                let joined = self.groups().map(|(start, end)| {
                    let parts: Vec<&str> = (start..end).map(|row| texts.value(row)).collect();
                    (end > start).then(|| parts.join(delimiter))
                });
                Arc::new(joined.collect::<StringViewArray>())
            }
        })
    }

    /// First and past-the-last value of each group.
    fn groups(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.lengths.iter().scan(0, |end, length| {
            let start = *end;
            *end += length;
            Some((start, *end))
        })
    }

    /// Null where there is no value; integers wrap as Spark's do.
    fn sums(&self, data_type: &DataType) -> Result<ArrayRef, SqlError> {
        let values = cast(&self.values[0], data_type)?;
        Ok(match data_type {
            DataType::Int64 => {
                let values = values.as_primitive::<Int64Type>();
                let sum = |start, end| (start..end).fold(0_i64, |sum, row| sum.wrapping_add(values.value(row)));
                Arc::new(
                    self.groups().map(|(start, end)| (end > start).then(|| sum(start, end))).collect::<Int64Array>(),
                )
            }
            DataType::Decimal128(precision, scale) => {
                let values = values.as_primitive::<Decimal128Type>();
                let sum = |start, end| (start..end).try_fold(0_i128, |sum, row| sum.checked_add(values.value(row)));
                let sums = self.groups().map(|(start, end)| if end > start { sum(start, end) } else { None });
                Arc::new(sums.collect::<Decimal128Array>().with_precision_and_scale(*precision, *scale)?)
            }
            _ => {
                let values = doubles(&values)?;
                let sum = |start: usize, end: usize| (start..end).map(|row| values.value(row)).sum::<f64>();
                Arc::new(
                    self.groups().map(|(start, end)| (end > start).then(|| sum(start, end))).collect::<Float64Array>(),
                )
            }
        })
    }

    /// An empty list where there is no value.
    fn lists(&self, data_type: &DataType) -> Result<ArrayRef, SqlError> {
        let item = match data_type {
            DataType::List(item) => Arc::clone(item),
            other => Arc::new(Field::new_list_field(other.clone(), true)),
        };
        let values = cast(&self.values[0], item.data_type())?;
        let offsets = OffsetBuffer::from_lengths(self.lengths.iter().copied());
        Ok(Arc::new(ListArray::try_new(item, offsets, values, None)?))
    }

    /// Spark's `Percentile`: between the two values around `(n - 1) * fraction`, weighted by how near they are. Its
    /// `PercentileDisc`: the first value that so large a part of all does not exceed.
    fn percentiles(&self, fractions: &[f64], many: bool, discrete: bool, distinct: bool) -> Result<ArrayRef, SqlError> {
        let values = doubles(&self.values[0])?;
        let weight = |row: usize| if distinct { 1 } else { self.counts[row] };
        let mut found: Vec<Option<f64>> = Vec::new();
        for (start, end) in self.groups() {
            let mut weighted: Vec<(f64, i64)> = (start..end).map(|row| (values.value(row), weight(row))).collect();
            weighted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
            found.extend(fractions.iter().map(|fraction| percentile(&weighted, *fraction, discrete)));
        }
        let flat: ArrayRef = Arc::new(Float64Array::from(found));
        if !many {
            return Ok(flat);
        }
        let item = Arc::new(Field::new_list_field(DataType::Float64, true));
        let offsets = OffsetBuffer::from_lengths(self.lengths.iter().map(|_| fractions.len()));
        let nulls: NullBuffer = self.lengths.iter().map(|length| *length > 0).collect();
        Ok(Arc::new(ListArray::try_new(item, offsets, flat, Some(nulls))?))
    }
}

fn percentile(weighted: &[(f64, i64)], fraction: f64, discrete: bool) -> Option<f64> {
    let total: i64 = weighted.iter().map(|(_, count)| count).sum();
    (total > 0).then_some(())?;
    let position =
        if discrete { ((total as f64 * fraction).ceil() - 1.0).max(0.0) } else { (total - 1) as f64 * fraction };
    let at = |place: f64| {
        let mut passed = 0;
        weighted.iter().find(|(_, count)| {
            passed += count;
            passed as f64 > place
        })
    };
    let (lower, higher) = (position.floor(), position.ceil());
    let (low, high) = (at(lower)?.0, at(higher)?.0);
    if low.total_cmp(&high).is_eq() {
        return Some(low);
    }
    Some((higher - position) * low + (position - lower) * high)
}

fn doubles(values: &ArrayRef) -> Result<Float64Array, SqlError> {
    Ok(cast(values, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
}
