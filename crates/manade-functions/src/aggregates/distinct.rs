//! `approx_count_distinct`: HyperLogLog with registers for the asked deviation, and the estimator of Ertl, "New
//! cardinality estimation algorithms for HyperLogLog sketches" (2017, algorithm 6), which needs no bias tables.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::Accumulator;
use datafusion::logical_expr::function::AccumulatorArgs;

use super::{Aggregate, constant, counted};
use crate::columns::{At, binaries};
use crate::hashes::xxhash64_rows;

pub(super) static AGGREGATES: &[Aggregate] = &[Aggregate {
    name: "approx_count_distinct",
    aliases: &[],
    args: |given| {
        counted(given, 1, 2)?;
        Ok(std::iter::once(given[0].clone()).chain(given[1..].iter().map(|_| DataType::Float64)).collect())
    },
    returns: |_| Ok(DataType::Int64),
    state: |_| vec![("registers", DataType::BinaryView)],
    accumulator,
    signature: "approx_count_distinct(x[, deviation])",
    line: "About how many values differ, with a relative standard deviation of 0.05 or as told.",
    difference: Some("another estimator than Spark's: results differ within the deviation"),
}];

fn accumulator(args: &AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> {
    let deviation = match constant(args, 1) {
        None if args.exprs.len() < 2 => 0.05,
        Some(ScalarValue::Float64(Some(deviation))) if (0.002..=0.39).contains(deviation) => *deviation,
        _ => return plan_err!("the deviation of approx_count_distinct() must be a constant from 0.002 to 0.39"),
    };
    // As in Spark's HyperLogLogPlusPlusHelper.
    let bits = (2.0 * (1.106_f64 / deviation).log2()).ceil() as u32;
    Ok(Box::new(Distinct { bits, registers: Vec::new() }))
}

#[derive(Debug)]
struct Distinct {
    /// Of a hash, those that choose the register.
    bits: u32,
    /// A byte each; none until there is a value.
    registers: Vec<u8>,
}

impl Distinct {
    fn insert(&mut self, hash: u64) {
        self.registers.resize(1 << self.bits, 0);
        let index = (hash >> (64 - self.bits)) as usize;
        let rank = ((hash << self.bits) | (1 << (self.bits - 1))).leading_zeros() as u8 + 1;
        self.registers[index] = self.registers[index].max(rank);
    }

    fn estimate(&self) -> i64 {
        if self.registers.is_empty() {
            return 0;
        }
        let (m, q) = (self.registers.len() as f64, 64 - self.bits as usize);
        let mut counts = vec![0.0; q + 2];
        for &register in &self.registers {
            counts[usize::from(register)] += 1.0;
        }
        let mut z = m * tau((m - counts[q + 1]) / m);
        for count in counts[1..=q].iter().rev() {
            z = 0.5 * (z + count);
        }
        z += m * sigma(counts[0] / m);
        (m * m / (2.0 * std::f64::consts::LN_2) / z).round() as i64
    }
}

fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z <= before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z >= before {
            return z / 3.0;
        }
    }
}

impl Accumulator for Distinct {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let nulls = values[0].logical_nulls();
        for (row, hash) in xxhash64_rows(&values[..1])?.into_iter().enumerate() {
            if nulls.as_ref().is_none_or(|n| n.is_valid(row)) {
                self.insert(hash);
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Int64(Some(self.estimate())))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.registers.capacity()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![ScalarValue::BinaryView(Some(self.registers.clone()))])
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let states = binaries(&states[0]);
        for other in (0..states.len()).filter_map(|row| states.at(row)).filter(|s| !s.is_empty()) {
            if other.len() != 1 << self.bits {
                return exec_err!("the state of approx_count_distinct() is damaged");
            }
            self.registers.resize(other.len(), 0);
            self.registers.iter_mut().zip(other).for_each(|(a, b)| *a = (*a).max(*b));
        }
        Ok(())
    }
}
