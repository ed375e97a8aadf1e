//! Columns as they grow, a row at a time; a row that turns out to be bad is taken back.

use std::sync::Arc;

use arrow_array::types::{ByteViewType, StringViewType};
use arrow_array::{
    ArrayRef, ArrowPrimitiveType, BooleanArray, GenericByteViewArray, ListArray, MapArray, PrimitiveArray, StructArray,
    types,
};
use arrow_buffer::{BooleanBufferBuilder, Buffer, NullBufferBuilder, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Fields};

use super::keys::Keys;
use super::shape::{Leaf, Members, Shape, TimeReader};
use crate::schema::{element_field, entries_field};

/// Grows by exactly one value a row.
#[derive(Debug)]
pub(crate) enum Column {
    Boolean(BooleanBufferBuilder, NullBufferBuilder),
    Byte(Plain<i8>),
    Short(Plain<i16>),
    Int(Plain<i32>),
    Long(Plain<i64>),
    Float(Plain<f32>),
    Double(Plain<f64>),
    Decimal(Plain<i128>, u8, u8),
    String(Plain<u128>),
    Binary(Plain<u128>),
    Date(Plain<i32>, TimeReader),
    /// `true`: without a zone.
    Timestamp(Plain<i64>, TimeReader, bool),
    Array(Lists),
    Map(Maps),
    Struct(Structs),
}

/// Values, or views of 16 bytes.
#[derive(Debug)]
pub(crate) struct Plain<T> {
    pub values: Vec<T>,
    pub nulls: NullBufferBuilder,
}

#[derive(Debug)]
pub(crate) struct Lists {
    pub ends: Vec<i32>,
    pub nulls: NullBufferBuilder,
    pub elements: Box<Column>,
    data_type: DataType,
}

#[derive(Debug)]
pub(crate) struct Maps {
    pub ends: Vec<i32>,
    pub nulls: NullBufferBuilder,
    pub keys: Plain<u128>,
    pub values: Box<Column>,
    data_type: DataType,
}

#[derive(Debug)]
pub(crate) struct Structs {
    pub len: usize,
    pub nulls: NullBufferBuilder,
    pub columns: Vec<Column>,
    pub members: Arc<Members>,
    /// The keys that events have had, to guess the next one.
    pub keys: Keys,
}

impl<T: Default> Plain<T> {
    pub fn new(rows: usize) -> Self {
        Self { values: Vec::with_capacity(rows), nulls: NullBufferBuilder::new(rows) }
    }

    #[inline]
    pub fn push(&mut self, value: T) {
        self.values.push(value);
        self.nulls.append_non_null();
    }

    pub fn push_null(&mut self) {
        self.values.push(T::default());
        self.nulls.append_null();
    }

    pub fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.nulls.truncate(rows);
    }
}

impl Lists {
    /// Ends the row's list at the elements that there are.
    pub fn end_row(&mut self) {
        self.ends.push(self.elements.len() as i32);
        self.nulls.append_non_null();
    }
}

impl Maps {
    /// Ends the row's map at the entries that there are.
    pub fn end_row(&mut self) {
        self.ends.push(self.values.len() as i32);
        self.nulls.append_non_null();
    }
}

impl Structs {
    pub fn new(members: &Arc<Members>, rows: usize) -> Self {
        let columns = members.list.iter().map(|member| Column::new(&member.shape, rows)).collect();
        let nulls = NullBufferBuilder::new(rows);
        Self { len: 0, nulls, columns, members: members.clone(), keys: Keys::default() }
    }

    /// Ends a row whose missing members are null.
    #[inline]
    pub fn end_row(&mut self) {
        for column in &mut self.columns {
            if column.len() == self.len {
                column.push_null();
            }
        }
        self.nulls.append_non_null();
        self.len += 1;
    }

    pub fn push_null(&mut self) {
        self.columns.iter_mut().for_each(Column::push_null);
        self.nulls.append_null();
        self.len += 1;
    }

    /// Takes back the rows behind the first `rows`, and what of a further row there is.
    pub fn truncate(&mut self, rows: usize) {
        self.columns.iter_mut().for_each(|column| column.truncate(rows));
        self.nulls.truncate(rows);
        self.len = rows;
    }

    /// The visible members' arrays.
    pub fn finish(self, buffers: &[Buffer]) -> (Vec<ArrayRef>, Option<arrow_buffer::NullBuffer>) {
        let Self { mut nulls, columns, members, .. } = self;
        let visible = columns.into_iter().zip(&members.list).filter(|(_, member)| member.visible);
        (visible.map(|(column, _)| column.finish(buffers)).collect(), nulls.finish())
    }
}

impl Column {
    pub fn new(shape: &Shape, rows: usize) -> Self {
        let nulls = || NullBufferBuilder::new(rows);
        let leaf = match shape {
            Shape::Leaf(leaf) => leaf,
            Shape::Array(element) => {
                let elements = Box::new(Column::new(element, rows));
                return Column::Array(Lists {
                    ends: vec![0],
                    nulls: nulls(),
                    elements,
                    data_type: element.data_type(),
                });
            }
            Shape::Map(value) => {
                let (keys, values) = (Plain::new(rows), Box::new(Column::new(value, rows)));
                return Column::Map(Maps { ends: vec![0], nulls: nulls(), keys, values, data_type: value.data_type() });
            }
            Shape::Struct(members) => return Column::Struct(Structs::new(members, rows)),
        };
        match leaf {
            Leaf::Boolean => Column::Boolean(BooleanBufferBuilder::new(rows), nulls()),
            Leaf::Byte => Column::Byte(Plain::new(rows)),
            Leaf::Short => Column::Short(Plain::new(rows)),
            Leaf::Int => Column::Int(Plain::new(rows)),
            Leaf::Long => Column::Long(Plain::new(rows)),
            Leaf::Float => Column::Float(Plain::new(rows)),
            Leaf::Double => Column::Double(Plain::new(rows)),
            Leaf::Decimal { precision, scale } => Column::Decimal(Plain::new(rows), *precision, *scale),
            Leaf::String => Column::String(Plain::new(rows)),
            Leaf::Binary => Column::Binary(Plain::new(rows)),
            Leaf::Date(reader) => Column::Date(Plain::new(rows), reader.clone()),
            Leaf::Timestamp(reader) => Column::Timestamp(Plain::new(rows), reader.clone(), false),
            Leaf::TimestampNtz(reader) => Column::Timestamp(Plain::new(rows), reader.clone(), true),
        }
    }

    #[inline]
    pub fn len(&self) -> usize {
        match self {
            Column::Boolean(values, _) => values.len(),
            Column::Byte(plain) => plain.values.len(),
            Column::Short(plain) => plain.values.len(),
            Column::Int(plain) | Column::Date(plain, _) => plain.values.len(),
            Column::Long(plain) | Column::Timestamp(plain, ..) => plain.values.len(),
            Column::Float(plain) => plain.values.len(),
            Column::Double(plain) => plain.values.len(),
            Column::Decimal(plain, ..) => plain.values.len(),
            Column::String(plain) | Column::Binary(plain) => plain.values.len(),
            Column::Array(lists) => lists.ends.len() - 1,
            Column::Map(maps) => maps.ends.len() - 1,
            Column::Struct(structs) => structs.len,
        }
    }

    pub fn push_null(&mut self) {
        match self {
            Column::Boolean(values, nulls) => {
                values.append(false);
                nulls.append_null();
            }
            Column::Byte(plain) => plain.push_null(),
            Column::Short(plain) => plain.push_null(),
            Column::Int(plain) | Column::Date(plain, _) => plain.push_null(),
            Column::Long(plain) | Column::Timestamp(plain, ..) => plain.push_null(),
            Column::Float(plain) => plain.push_null(),
            Column::Double(plain) => plain.push_null(),
            Column::Decimal(plain, ..) => plain.push_null(),
            Column::String(plain) | Column::Binary(plain) => plain.push_null(),
            Column::Array(lists) => {
                lists.ends.push(lists.elements.len() as i32);
                lists.nulls.append_null();
            }
            Column::Map(maps) => {
                maps.ends.push(maps.values.len() as i32);
                maps.nulls.append_null();
            }
            Column::Struct(structs) => structs.push_null(),
        }
    }

    pub fn truncate(&mut self, rows: usize) {
        match self {
            Column::Boolean(values, nulls) => {
                values.truncate(rows);
                nulls.truncate(rows);
            }
            Column::Byte(plain) => plain.truncate(rows),
            Column::Short(plain) => plain.truncate(rows),
            Column::Int(plain) | Column::Date(plain, _) => plain.truncate(rows),
            Column::Long(plain) | Column::Timestamp(plain, ..) => plain.truncate(rows),
            Column::Float(plain) => plain.truncate(rows),
            Column::Double(plain) => plain.truncate(rows),
            Column::Decimal(plain, ..) => plain.truncate(rows),
            Column::String(plain) | Column::Binary(plain) => plain.truncate(rows),
            Column::Array(lists) => {
                lists.ends.truncate(rows + 1);
                lists.nulls.truncate(rows);
                lists.elements.truncate(lists.ends.last().map_or(0, |end| *end as usize));
            }
            Column::Map(maps) => {
                maps.ends.truncate(rows + 1);
                maps.nulls.truncate(rows);
                let entries = maps.ends.last().map_or(0, |end| *end as usize);
                maps.keys.truncate(entries);
                maps.values.truncate(entries);
            }
            Column::Struct(structs) => structs.truncate(rows),
        }
    }

    /// `buffers`: what the views point into.
    pub fn finish(self, buffers: &[Buffer]) -> ArrayRef {
        match self {
            Column::Boolean(mut values, mut nulls) => Arc::new(BooleanArray::new(values.finish(), nulls.finish())),
            Column::Byte(plain) => primitive::<types::Int8Type>(plain, &DataType::Int8),
            Column::Short(plain) => primitive::<types::Int16Type>(plain, &DataType::Int16),
            Column::Int(plain) => primitive::<types::Int32Type>(plain, &DataType::Int32),
            Column::Long(plain) => primitive::<types::Int64Type>(plain, &DataType::Int64),
            Column::Float(plain) => primitive::<types::Float32Type>(plain, &DataType::Float32),
            Column::Double(plain) => primitive::<types::Float64Type>(plain, &DataType::Float64),
            Column::Decimal(plain, precision, scale) => {
                primitive::<types::Decimal128Type>(plain, &DataType::Decimal128(precision, scale as i8))
            }
            Column::String(plain) => views::<StringViewType>(plain, buffers),
            Column::Binary(plain) => views::<types::BinaryViewType>(plain, buffers),
            Column::Date(plain, reader) => primitive::<types::Date32Type>(plain, &Leaf::Date(reader).data_type()),
            Column::Timestamp(plain, reader, local) => {
                let leaf = if local { Leaf::TimestampNtz(reader) } else { Leaf::Timestamp(reader) };
                primitive::<types::TimestampMicrosecondType>(plain, &leaf.data_type())
            }
            Column::Array(lists) => finish_lists(lists, buffers),
            Column::Map(maps) => finish_maps(maps, buffers),
            Column::Struct(structs) => {
                let (fields, rows) = (structs.members.fields(), structs.len);
                let (arrays, nulls) = structs.finish(buffers);
                if fields.is_empty() {
                    return Arc::new(StructArray::new_empty_fields(rows, nulls));
                }
                Arc::new(StructArray::new(fields, arrays, nulls))
            }
        }
    }
}

fn primitive<T: ArrowPrimitiveType>(mut plain: Plain<T::Native>, data_type: &DataType) -> ArrayRef {
    let array = PrimitiveArray::<T>::new(plain.values.into(), plain.nulls.finish());
    Arc::new(array.with_data_type(data_type.clone()))
}

fn views<T: ByteViewType>(mut plain: Plain<u128>, buffers: &[Buffer]) -> ArrayRef {
    let array = GenericByteViewArray::<T>::try_new(plain.values.into(), buffers.to_vec(), plain.nulls.finish());
    Arc::new(array.expect("views are made of checked text"))
}

fn finish_lists(mut lists: Lists, buffers: &[Buffer]) -> ArrayRef {
    let offsets = OffsetBuffer::new(ScalarBuffer::from(lists.ends));
    let elements = lists.elements.finish(buffers);
    Arc::new(ListArray::new(element_field(lists.data_type), offsets, elements, lists.nulls.finish()))
}

fn finish_maps(mut maps: Maps, buffers: &[Buffer]) -> ArrayRef {
    let offsets = OffsetBuffer::new(ScalarBuffer::from(maps.ends));
    let fields = Fields::from(vec![
        Field::new("key", DataType::Utf8View, false),
        Field::new("value", maps.data_type.clone(), true),
    ]);
    let columns = vec![views::<StringViewType>(maps.keys, buffers), maps.values.finish(buffers)];
    let entries = StructArray::new(fields, columns, None);
    let field = entries_field(DataType::Utf8View, maps.data_type);
    Arc::new(MapArray::new(field, offsets, entries, maps.nulls.finish(), false))
}
