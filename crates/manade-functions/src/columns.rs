//! Reading and building columns row by row.

#![expect(clippy::unnecessary_wraps, reason = "kernels return results, and end in a call of these")]

use std::sync::Arc;

use arrow::array::{
    Array, ArrayBuilder, ArrayRef, ArrowPrimitiveType, AsArray, BinaryViewArray, BinaryViewBuilder, BooleanArray,
    ListArray, PrimitiveArray, StringViewArray, StringViewBuilder, StructArray, UInt32Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::take;
use arrow::datatypes::{
    DataType, Date32Type, Field, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
};
use datafusion::common::{Result, exec_err};

/// The value at a row, unless it is null.
pub(crate) trait At {
    type Item<'a>
    where
        Self: 'a;
    fn at(&self, row: usize) -> Option<Self::Item<'_>>;
}

impl At for StringViewArray {
    type Item<'a> = &'a str;
    fn at(&self, row: usize) -> Option<&str> {
        self.is_valid(row).then(|| self.value(row))
    }
}

impl At for BinaryViewArray {
    type Item<'a> = &'a [u8];
    fn at(&self, row: usize) -> Option<&[u8]> {
        self.is_valid(row).then(|| self.value(row))
    }
}

impl At for BooleanArray {
    type Item<'a> = bool;
    fn at(&self, row: usize) -> Option<bool> {
        self.is_valid(row).then(|| self.value(row))
    }
}

impl<T: ArrowPrimitiveType> At for PrimitiveArray<T> {
    type Item<'a> = T::Native;
    fn at(&self, row: usize) -> Option<T::Native> {
        self.is_valid(row).then(|| self.value(row))
    }
}

pub(crate) fn strings(column: &ArrayRef) -> &StringViewArray {
    column.as_string_view()
}

pub(crate) fn binaries(column: &ArrayRef) -> &BinaryViewArray {
    column.as_binary_view()
}

pub(crate) fn ints(column: &ArrayRef) -> &PrimitiveArray<Int32Type> {
    column.as_primitive()
}

pub(crate) fn longs(column: &ArrayRef) -> &PrimitiveArray<Int64Type> {
    column.as_primitive()
}

pub(crate) fn doubles(column: &ArrayRef) -> &PrimitiveArray<Float64Type> {
    column.as_primitive()
}

pub(crate) fn dates(column: &ArrayRef) -> &PrimitiveArray<Date32Type> {
    column.as_primitive()
}

pub(crate) fn times(column: &ArrayRef) -> &PrimitiveArray<TimestampMicrosecondType> {
    column.as_primitive()
}

/// Numbers of `rows` rows; a timestamp's zone is that of `returns`.
pub(crate) fn numbers<T: ArrowPrimitiveType>(
    rows: usize,
    returns: &DataType,
    at: impl FnMut(usize) -> Option<T::Native>,
) -> Result<ArrayRef> {
    let column: PrimitiveArray<T> = (0..rows).map(at).collect();
    Ok(Arc::new(column.with_data_type(returns.clone())))
}

pub(crate) fn booleans(rows: usize, at: impl FnMut(usize) -> Option<bool>) -> Result<ArrayRef> {
    Ok(Arc::new((0..rows).map(at).collect::<BooleanArray>()))
}

pub(crate) fn texts<S: AsRef<str>>(rows: usize, at: impl FnMut(usize) -> Option<S>) -> Result<ArrayRef> {
    Ok(Arc::new((0..rows).map(at).collect::<StringViewArray>()))
}

pub(crate) fn bytes<S: AsRef<[u8]>>(rows: usize, at: impl FnMut(usize) -> Option<S>) -> Result<ArrayRef> {
    let mut out = BinaryViewBuilder::with_capacity(rows);
    (0..rows).map(at).for_each(|v| out.append_option(v));
    Ok(Arc::new(out.finish()))
}

/// Text that is written into a buffer, which is empty at each row.
pub(crate) fn written(rows: usize, mut at: impl FnMut(usize, &mut String) -> Option<()>) -> Result<ArrayRef> {
    let mut out = StringViewBuilder::with_capacity(rows);
    let mut text = String::new();
    for row in 0..rows {
        text.clear();
        out.append_option(at(row, &mut text).map(|()| text.as_str()));
    }
    Ok(Arc::new(out.finish()))
}

/// A list a row, of texts that `at` pushes; null if it says so.
pub(crate) fn text_lists(
    rows: usize,
    mut at: impl FnMut(usize, &mut StringViewBuilder) -> Option<()>,
) -> Result<ArrayRef> {
    let mut values = StringViewBuilder::new();
    let mut lists = Lists::with_capacity(rows);
    for row in 0..rows {
        let valid = at(row, &mut values).is_some();
        lists.push(values.len(), valid);
    }
    lists.finish(Arc::new(values.finish()))
}

/// Offsets and nulls of a list column that is being built.
pub(crate) struct Lists {
    offsets: Vec<i32>,
    valid: Vec<bool>,
}

impl Lists {
    pub(crate) fn with_capacity(rows: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { offsets, valid: Vec::with_capacity(rows) }
    }

    /// Ends a row: the values so far number `len`.
    pub(crate) fn push(&mut self, len: usize, valid: bool) {
        self.offsets.push(len as i32);
        self.valid.push(valid);
    }

    pub(crate) fn finish(self, values: ArrayRef) -> Result<ArrayRef> {
        let (offsets, nulls) = self.into_parts();
        let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
        Ok(Arc::new(ListArray::try_new(field, offsets, values, nulls)?))
    }

    pub(crate) fn into_parts(self) -> (OffsetBuffer<i32>, Option<NullBuffer>) {
        (OffsetBuffer::new(self.offsets.into()), Some(NullBuffer::from(self.valid)))
    }
}

/// Lists whose elements are picked from `values` by index (null where the index is).
pub(crate) fn picked_lists(
    values: &ArrayRef,
    rows: usize,
    mut at: impl FnMut(usize, &mut Vec<Option<u32>>) -> Option<()>,
) -> Result<ArrayRef> {
    let mut picked = Vec::new();
    let mut lists = Lists::with_capacity(rows);
    for row in 0..rows {
        let before = picked.len();
        let valid = at(row, &mut picked).is_some();
        if !valid {
            picked.truncate(before);
        }
        lists.push(picked.len(), valid);
    }
    lists.finish(take(values, &UInt32Array::from(picked), None)?)
}

/// Bytes of text that one call may make, of all the rows that it is given.
const MOST_TEXT: usize = 64 << 20;

/// And elements.
pub(crate) const MOST_ELEMENTS: usize = 10_000_000;

/// Fails where rows ask for more text than fits, before it is made: a batch is then computed row by row.
pub(crate) fn text_fits(function: &str, bytes: impl Iterator<Item = Option<usize>>) -> Result<()> {
    if bytes.flatten().fold(0, usize::saturating_add) > MOST_TEXT {
        return exec_err!("{function}() of more than {} MiB", MOST_TEXT >> 20);
    }
    Ok(())
}

/// The same for elements.
pub(crate) fn elements_fit(function: &str, elements: impl Iterator<Item = Option<usize>>) -> Result<()> {
    if elements.flatten().fold(0, usize::saturating_add) > MOST_ELEMENTS {
        return exec_err!("{function}() of more than {MOST_ELEMENTS} elements");
    }
    Ok(())
}

/// The column in a form whose parts compare as Spark compares them: 0.0 for -0.0, and one NaN.
pub(crate) fn comparable(column: &ArrayRef) -> Result<ArrayRef> {
    Ok(match column.data_type() {
        DataType::Float32 => Arc::new(column.as_primitive::<Float32Type>().unary::<_, Float32Type>(|x| match x {
            x if x.is_nan() => f32::NAN,
            // The sum of both zeros is 0.0.
            x => x + 0.0,
        })),
        DataType::Float64 => Arc::new(column.as_primitive::<Float64Type>().unary::<_, Float64Type>(|x| match x {
            x if x.is_nan() => f64::NAN,
            x => x + 0.0,
        })),
        DataType::List(field) => {
            let list = column.as_list::<i32>();
            let values = comparable(list.values())?;
            Arc::new(ListArray::try_new(Arc::clone(field), list.offsets().clone(), values, list.nulls().cloned())?)
        }
        DataType::Struct(fields) => {
            let parts = column.as_struct();
            let columns = parts.columns().iter().map(comparable).collect::<Result<Vec<_>>>()?;
            let nulls = parts.nulls().cloned();
            Arc::new(StructArray::try_new_with_length(fields.clone(), columns, nulls, parts.len())?)
        }
        _ => Arc::clone(column),
    })
}

/// Where the elements of a list stand in its values; `None` for a null list.
pub(crate) fn span(list: &ListArray, row: usize) -> Option<std::ops::Range<u32>> {
    list.is_valid(row).then(|| {
        let offsets = list.value_offsets();
        offsets[row] as u32..offsets[row + 1] as u32
    })
}
