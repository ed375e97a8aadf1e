use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Accumulator;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, lit};

use super::Aggregate;
use super::quantiles::Summary;

/// The rank of each answer is off by at most `error` times the count, and the size bounded, however the values come and
/// are cut and merged.
#[test]
fn summaries_keep_their_error_over_merges() {
    const N: u64 = 300_000;
    let orders: [fn(u64) -> u64; 3] = [|i| i * 7919 % N, |i| i, |i| N - 1 - i];
    for (order, portion, error) in orders.iter().flat_map(|o| {
        [(7, 0.01), (50, 0.01), (1000, 0.01), (7000, 0.001), (20_000, 0.01), (N, 0.01)].map(|(p, e)| (o, p, e))
    }) {
        let mut all = Summary::new(error);
        for from in (0..N).step_by(portion as usize) {
            let mut summary = Summary::new(error);
            (from..N.min(from + portion)).for_each(|i| summary.insert(order(i) as f64));
            all.merge(Summary::from_bytes(&summary.encode()).unwrap());
            all.compress();
            all = Summary::from_bytes(&all.encode()).unwrap();
        }
        for percentage in [0.05, 0.25, 0.5, 0.9, 0.99] {
            let answer = all.query(&[percentage]).unwrap()[0];
            let off = (answer - percentage * N as f64).abs() / N as f64;
            assert!(off <= error, "{percentage} in portions of {portion} at {error}: off by {off}");
        }
        let size = all.encode().len();
        assert!(size < (120.0 / error) as usize, "{size} bytes in portions of {portion} at {error}");
    }
}

#[test]
fn damaged_summaries_are_refused() {
    let mut summary = Summary::new(0.1);
    summary.insert(1.0);
    let bytes = summary.encode();
    assert!(Summary::from_bytes(&bytes).is_some());
    assert!(Summary::from_bytes(&bytes[..bytes.len() - 1]).is_none());
    assert!(Summary::from_bytes(&[9]).is_none());
}

/// However the rows are cut into portions and their states merged, the value is that of one pass.
#[test]
fn states_merge_to_the_value_of_one_pass() {
    let x = DataType::Float64;
    for aggregate in super::all() {
        for arguments in [vec![x.clone()], vec![x.clone(), x.clone()]] {
            let Ok(types) = (aggregate.args)(&arguments) else { continue };
            let constant = match aggregate.name {
                "percentile_approx" => Some(0.5),
                "approx_count_distinct" => Some(0.05),
                _ => None,
            };
            let columns: Vec<ArrayRef> = types.iter().enumerate().map(|(i, t)| column(i as u64 + 1, t)).collect();
            let whole = run(aggregate, &types, std::slice::from_ref(&columns), constant);
            for size in [1, 7, 100] {
                let cut = |from: usize| columns.iter().map(|c| c.slice(from, size.min(ROWS - from))).collect();
                let portions: Vec<Vec<ArrayRef>> = (0..ROWS).step_by(size).map(cut).collect();
                let merged = run(aggregate, &types, &portions, constant);
                let close = match (&whole, &merged) {
                    (ScalarValue::Float64(Some(a)), ScalarValue::Float64(Some(b))) => {
                        (a - b).abs() < 1e-9 * a.abs().max(1.0)
                    }
                    (a, b) => a == b,
                };
                assert!(close, "{} of {types:?} in portions of {size}: {merged:?}, not {whole:?}", aggregate.name);
            }
        }
    }
}

const ROWS: usize = 500;

/// Repeating values with a null now and then.
fn column(seed: u64, t: &DataType) -> ArrayRef {
    let values: Float64Array =
        (0..ROWS as u64).map(|i| (i % 11 != seed).then_some((i * 7919 * seed % 97) as f64)).collect();
    crate::cast::cast_column(&(Arc::new(values) as ArrayRef), t).unwrap()
}

/// The value over portions, each of which becomes a state that is merged twice (with its like, and with all).
fn run(aggregate: &Aggregate, types: &[DataType], portions: &[Vec<ArrayRef>], constant: Option<f64>) -> ScalarValue {
    let fields: Vec<_> = types.iter().map(|t| Arc::new(Field::new("x", t.clone(), true))).collect();
    let schema = Schema::new(fields.clone());
    let expr = |i: usize| -> Arc<dyn PhysicalExpr> {
        match constant {
            Some(constant) if i == 1 => lit(constant),
            _ => Arc::new(Column::new("x", i)),
        }
    };
    let exprs: Vec<_> = (0..types.len()).map(expr).collect();
    let start = || {
        let args = AccumulatorArgs {
            return_field: Arc::new(Field::new("r", (aggregate.returns)(types).unwrap(), true)),
            schema: &schema,
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: aggregate.name,
            is_distinct: false,
            exprs: &exprs,
            expr_fields: &fields,
        };
        (aggregate.accumulator)(&args).unwrap()
    };
    let mut all = start();
    for pair in portions.chunks(2) {
        let mut both = start();
        for portion in pair {
            let mut part = start();
            part.update_batch(portion).unwrap();
            both.merge_batch(&state(part.as_mut())).unwrap();
        }
        all.merge_batch(&state(both.as_mut())).unwrap();
    }
    all.evaluate().unwrap()
}

fn state(part: &mut dyn Accumulator) -> Vec<ArrayRef> {
    part.state().unwrap().iter().map(|value| value.to_array().unwrap()).collect()
}
