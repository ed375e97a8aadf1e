//! Stable hashes of rows: equal on every machine and in every version, since they are stored.
//!
//! A value's bytes are hashed by xxh3 (64 bits) if their length varies, and taken as they are otherwise; rows combine
//! their columns' values by a folded 64 x 64 -> 128 bit multiplication, as wyhash does.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float16Type, Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, ArrowPrimitiveType, PrimitiveArray, downcast_primitive_array};
use arrow_buffer::ToByteSlice;
use arrow_schema::DataType;
use xxhash_rust::xxh3::xxh3_64;

const SEED: u64 = 0xa076_1d64_78bd_642f;
const STATE: u64 = 0xe703_7ed1_a0b4_28db;
const VALUE: u64 = 0x8ebc_6af0_9c88_c6e3;
const NULL: u64 = 0x5899_65cc_7537_4cc3;
const PRESENT: u64 = 0x1d8e_4e27_c47d_124f;

/// A hash a row of the columns' values. Null differs from empty, -0.0 equals 0.0, all NaN are equal, and a value hashes
/// alike whatever array holds it (views, offsets, dictionaries, slices).
pub fn hash_columns(columns: &[ArrayRef], rows: usize) -> Vec<u64> {
    let mut hashes = vec![SEED; rows];
    for column in columns {
        add(column, &mut hashes);
    }
    hashes
}

fn mix(state: u64, value: u64) -> u64 {
    let product = u128::from(state ^ STATE) * u128::from(value ^ VALUE);
    (product >> 64) as u64 ^ product as u64
}

fn add(array: &dyn Array, hashes: &mut [u64]) {
    match array.data_type() {
        DataType::Null => each(array, hashes, |_| 0),
        DataType::Boolean => {
            let array = array.as_boolean();
            each(array, hashes, |row| u64::from(array.value(row)));
        }
        DataType::Float16 => floats::<Float16Type>(array, hashes, f64::from),
        DataType::Float32 => floats::<Float32Type>(array, hashes, f64::from),
        DataType::Float64 => floats::<Float64Type>(array, hashes, |value| value),
        DataType::Utf8 => each(array, hashes, |row| xxh3_64(array.as_string::<i32>().value(row).as_bytes())),
        DataType::LargeUtf8 => each(array, hashes, |row| xxh3_64(array.as_string::<i64>().value(row).as_bytes())),
        DataType::Utf8View => each(array, hashes, |row| xxh3_64(array.as_string_view().value(row).as_bytes())),
        DataType::Binary => each(array, hashes, |row| xxh3_64(array.as_binary::<i32>().value(row))),
        DataType::LargeBinary => each(array, hashes, |row| xxh3_64(array.as_binary::<i64>().value(row))),
        DataType::BinaryView => each(array, hashes, |row| xxh3_64(array.as_binary_view().value(row))),
        DataType::FixedSizeBinary(_) => {
            each(array, hashes, |row| xxh3_64(array.as_fixed_size_binary().value(row)));
        }
        DataType::Struct(_) => fields(array, hashes),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            items(
                list,
                list.values(),
                |row| (list.value_offsets()[row] as usize, list.value_length(row) as usize),
                hashes,
            );
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            items(
                list,
                list.values(),
                |row| (list.value_offsets()[row] as usize, list.value_length(row) as usize),
                hashes,
            );
        }
        DataType::FixedSizeList(_, size) => {
            let list = array.as_fixed_size_list();
            items(list, list.values(), |row| (list.value_offset(row) as usize, *size as usize), hashes);
        }
        DataType::Map(_, _) => {
            let map = array.as_map();
            items(
                map,
                map.entries(),
                |row| (map.value_offsets()[row] as usize, map.value_length(row) as usize),
                hashes,
            );
        }
        DataType::Dictionary(_, _) => {
            let dictionary = array.as_any_dictionary();
            let keys = dictionary.normalized_keys();
            let nulls = dictionary.logical_nulls();
            for (row, hash) in hashes.iter_mut().enumerate() {
                if nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
                    *hash = mix(*hash, NULL);
                } else {
                    add(&dictionary.values().slice(keys[row], 1), std::slice::from_mut(hash));
                }
            }
        }
        _ => downcast_primitive_array!(
            array => primitives(array, hashes),
            other => unimplemented!("{other} is not a type of events or state"),
        ),
    }
}

/// Mixes in a number a row: whether it is null, then its value.
fn each(array: &dyn Array, hashes: &mut [u64], value: impl Fn(usize) -> u64) {
    match array.logical_nulls().filter(|nulls| nulls.null_count() > 0) {
        Some(nulls) => {
            for (row, hash) in hashes.iter_mut().enumerate() {
                *hash = if nulls.is_null(row) { mix(*hash, NULL) } else { mix(*hash ^ PRESENT, value(row)) };
            }
        }
        None => {
            for (row, hash) in hashes.iter_mut().enumerate() {
                *hash = mix(*hash ^ PRESENT, value(row));
            }
        }
    }
}

fn primitives<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, hashes: &mut [u64]) {
    let values = array.values();
    each(array, hashes, |row| {
        let bytes = values[row].to_byte_slice();
        let mut words = bytes.chunks(8).map(|part| {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            u64::from_le_bytes(word)
        });
        let first = words.next().unwrap_or(0);
        words.fold(first, mix)
    });
}

fn floats<T: ArrowPrimitiveType>(array: &dyn Array, hashes: &mut [u64], widen: impl Fn(T::Native) -> f64) {
    let values = array.as_primitive::<T>();
    each(array, hashes, |row| {
        let value = widen(values.value(row));
        if value.is_nan() {
            f64::NAN.to_bits() & !(1 << 63)
        } else if value == 0.0 {
            0
        } else {
            value.to_bits()
        }
    });
}

fn fields(array: &dyn Array, hashes: &mut [u64]) {
    let array = array.as_struct();
    let mut inner = vec![SEED; array.len()];
    for column in array.columns() {
        add(column, &mut inner);
    }
    each(array, hashes, |row| inner[row]);
}

fn items(list: &dyn Array, values: &dyn Array, span: impl Fn(usize) -> (usize, usize), hashes: &mut [u64]) {
    let mut inner = vec![SEED; values.len()];
    add(values, &mut inner);
    each(list, hashes, |row| {
        let (start, len) = span(row);
        inner[start..start + len].iter().fold(len as u64, |state, item| mix(state, *item))
    });
}

#[cfg(test)]
mod tests;
