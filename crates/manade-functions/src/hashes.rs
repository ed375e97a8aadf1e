//! Spark's `hash` (Murmur3, 32 bits) and `xxhash64` with seed 42: columns in turn, each seeded with the hash so far; a
//! null leaves it as it is.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use datafusion::common::{Result, exec_err, plan_err};

use crate::columns::numbers;
use crate::function::{Function, Returns};
use crate::types;

const SEED: u64 = 42;

pub(crate) static FUNCTIONS: &[Function] = &[
    Function::by("hash", hash_args, Returns::Is(|| DataType::Int32), |args, t| {
        let hashes = rows::<Murmur3>(args)?;
        numbers::<Int32Type>(hashes.len(), t, |i| Some(hashes[i] as u32 as i32))
    })
    .doc("hash(a, ...)", "A 32-bit hash (Murmur3) of values."),
    Function::by("xxhash64", hash_args, Returns::Is(|| DataType::Int64), |args, t| {
        let hashes = rows::<XxHash64>(args)?;
        numbers::<Int64Type>(hashes.len(), t, |i| Some(hashes[i] as i64))
    })
    .doc("xxhash64(a, ...)", "A 64-bit hash of values."),
];

fn hash_args(given: &[DataType]) -> Result<Vec<DataType>> {
    fn has_map(t: &DataType) -> bool {
        match t {
            DataType::Map(..) => true,
            DataType::List(item) => has_map(item.data_type()),
            DataType::Struct(fields) => fields.iter().any(|field| has_map(field.data_type())),
            _ => false,
        }
    }
    if given.is_empty() {
        return plan_err!("a hash needs a value");
    }
    match given.iter().find(|t| has_map(t) || types::is_interval(t)) {
        Some(odd) => plan_err!("values of type {} cannot be hashed", types::spark_name(odd)),
        None => Ok(given.to_vec()),
    }
}

/// Spark's hash of a text or binary.
pub(crate) fn murmur3(bytes: &[u8]) -> u32 {
    Murmur3::bytes(bytes, SEED) as u32
}

/// `xxhash64` of each row.
pub(crate) fn xxhash64_rows(columns: &[ArrayRef]) -> Result<Vec<u64>> {
    rows::<XxHash64>(columns)
}

fn rows<H: Hasher>(columns: &[ArrayRef]) -> Result<Vec<u64>> {
    let mut hashes = vec![SEED; columns.first().map_or(0, Array::len)];
    for column in columns {
        for (row, hash) in hashes.iter_mut().enumerate() {
            *hash = value::<H>(column, row, *hash)?;
        }
    }
    Ok(hashes)
}

trait Hasher {
    fn int(value: i32, seed: u64) -> u64;
    fn long(value: i64, seed: u64) -> u64;
    fn bytes(value: &[u8], seed: u64) -> u64;
}

fn value<H: Hasher>(column: &ArrayRef, row: usize, seed: u64) -> Result<u64> {
    if column.is_null(row) {
        return Ok(seed);
    }
    Ok(match column.data_type() {
        DataType::Null => seed,
        DataType::Boolean => H::int(column.as_boolean().value(row).into(), seed),
        DataType::Int8 => H::int(column.as_primitive::<Int8Type>().value(row).into(), seed),
        DataType::Int16 => H::int(column.as_primitive::<Int16Type>().value(row).into(), seed),
        DataType::Int32 => H::int(column.as_primitive::<Int32Type>().value(row), seed),
        DataType::Int64 => H::long(column.as_primitive::<Int64Type>().value(row), seed),
        DataType::Float32 => {
            let v = column.as_primitive::<Float32Type>().value(row);
            H::int(if v == 0.0 { 0 } else { v.to_bits() as i32 }, seed)
        }
        DataType::Float64 => {
            let v = column.as_primitive::<Float64Type>().value(row);
            H::long(if v == 0.0 { 0 } else { v.to_bits() as i64 }, seed)
        }
        DataType::Decimal128(p, _) if *p <= 18 => {
            H::long(column.as_primitive::<Decimal128Type>().value(row) as i64, seed)
        }
        DataType::Decimal128(..) => {
            let bytes = column.as_primitive::<Decimal128Type>().value(row).to_be_bytes();
            H::bytes(shortest(&bytes), seed)
        }
        DataType::Date32 => H::int(column.as_primitive::<Date32Type>().value(row), seed),
        DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, _) => {
            H::long(column.as_primitive::<TimestampMicrosecondType>().value(row), seed)
        }
        DataType::Utf8 => H::bytes(column.as_string::<i32>().value(row).as_bytes(), seed),
        DataType::Utf8View => H::bytes(column.as_string_view().value(row).as_bytes(), seed),
        DataType::Binary => H::bytes(column.as_binary::<i32>().value(row), seed),
        DataType::BinaryView => H::bytes(column.as_binary_view().value(row), seed),
        DataType::List(_) => {
            let values = column.as_list::<i32>().value(row);
            (0..values.len()).try_fold(seed, |seed, i| value::<H>(&values, i, seed))?
        }
        DataType::Struct(_) => {
            column.as_struct().columns().iter().try_fold(seed, |seed, c| value::<H>(c, row, seed))?
        }
        other => return exec_err!("values of type {} cannot be hashed", types::spark_name(other)),
    })
}

/// Java's `BigInteger.toByteArray`: without redundant leading bytes.
fn shortest(bytes: &[u8; 16]) -> &[u8] {
    let redundant =
        bytes.windows(2).take_while(|pair| pair[0] == 0 && pair[1] < 128 || pair[0] == 255 && pair[1] >= 128).count();
    &bytes[redundant..]
}

/// Murmur3 x86 32; trailing bytes are mixed in one by one, each as a block, as in Spark.
struct Murmur3;

impl Murmur3 {
    fn mix(hash: u32, block: u32) -> u32 {
        let block = block.wrapping_mul(0xcc9e_2d51).rotate_left(15).wrapping_mul(0x1b87_3593);
        (hash ^ block).rotate_left(13).wrapping_mul(5).wrapping_add(0xe654_6b64)
    }

    fn finish(hash: u32, len: usize) -> u64 {
        let mut h = hash ^ len as u32;
        h = (h ^ (h >> 16)).wrapping_mul(0x85eb_ca6b);
        h = (h ^ (h >> 13)).wrapping_mul(0xc2b2_ae35);
        u64::from(h ^ (h >> 16))
    }
}

impl Hasher for Murmur3 {
    fn int(value: i32, seed: u64) -> u64 {
        Self::finish(Self::mix(seed as u32, value as u32), 4)
    }

    fn long(value: i64, seed: u64) -> u64 {
        let hash = Self::mix(seed as u32, value as u32);
        Self::finish(Self::mix(hash, (value as u64 >> 32) as u32), 8)
    }

    fn bytes(value: &[u8], seed: u64) -> u64 {
        let (blocks, rest) = value.as_chunks::<4>();
        let hash = blocks.iter().fold(seed as u32, |hash, block| Self::mix(hash, u32::from_le_bytes(*block)));
        let hash = rest.iter().fold(hash, |hash, &byte| Self::mix(hash, i32::from(byte as i8) as u32));
        Self::finish(hash, value.len())
    }
}

/// XXH64 (<https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md>).
struct XxHash64;

const P1: u64 = 0x9e37_79b1_85eb_ca87;
const P2: u64 = 0xc2b2_ae3d_27d4_eb4f;
const P3: u64 = 0x1656_67b1_9e37_79f9;
const P4: u64 = 0x85eb_ca77_c2b2_ae63;
const P5: u64 = 0x27d4_eb2f_1656_67c5;

impl XxHash64 {
    fn round(acc: u64, lane: u64) -> u64 {
        acc.wrapping_add(lane.wrapping_mul(P2)).rotate_left(31).wrapping_mul(P1)
    }

    fn long_block(hash: u64, lane: u64) -> u64 {
        (hash ^ Self::round(0, lane)).rotate_left(27).wrapping_mul(P1).wrapping_add(P4)
    }

    fn int_block(hash: u64, lane: u32) -> u64 {
        (hash ^ u64::from(lane).wrapping_mul(P1)).rotate_left(23).wrapping_mul(P2).wrapping_add(P3)
    }

    fn finish(hash: u64) -> u64 {
        let hash = (hash ^ (hash >> 33)).wrapping_mul(P2);
        let hash = (hash ^ (hash >> 29)).wrapping_mul(P3);
        hash ^ (hash >> 32)
    }
}

impl Hasher for XxHash64 {
    fn int(value: i32, seed: u64) -> u64 {
        Self::finish(Self::int_block(seed.wrapping_add(P5).wrapping_add(4), value as u32))
    }

    fn long(value: i64, seed: u64) -> u64 {
        Self::finish(Self::long_block(seed.wrapping_add(P5).wrapping_add(8), value as u64))
    }

    fn bytes(value: &[u8], seed: u64) -> u64 {
        let (stripes, mut rest) = value.as_chunks::<32>();
        let mut hash = seed.wrapping_add(P5);
        if !stripes.is_empty() {
            let mut lanes =
                [seed.wrapping_add(P1).wrapping_add(P2), seed.wrapping_add(P2), seed, seed.wrapping_sub(P1)];
            for stripe in stripes {
                for (lane, block) in lanes.iter_mut().zip(stripe.as_chunks::<8>().0) {
                    *lane = Self::round(*lane, u64::from_le_bytes(*block));
                }
            }
            let [a, b, c, d] = lanes;
            hash = a.rotate_left(1);
            hash = hash.wrapping_add(b.rotate_left(7)).wrapping_add(c.rotate_left(12)).wrapping_add(d.rotate_left(18));
            for lane in lanes {
                hash = (hash ^ Self::round(0, lane)).wrapping_mul(P1).wrapping_add(P4);
            }
        }
        hash = hash.wrapping_add(value.len() as u64);
        while let Some((block, after)) = rest.split_first_chunk::<8>() {
            hash = Self::long_block(hash, u64::from_le_bytes(*block));
            rest = after;
        }
        if let Some((block, after)) = rest.split_first_chunk::<4>() {
            hash = Self::int_block(hash, u32::from_le_bytes(*block));
            rest = after;
        }
        for &byte in rest {
            hash = (hash ^ u64::from(byte).wrapping_mul(P5)).rotate_left(11).wrapping_mul(P1);
        }
        Self::finish(hash)
    }
}
