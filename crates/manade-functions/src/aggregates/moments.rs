//! Aggregates of central moments, updated and merged as in Chan, Golub and LeVeque, "Updating Formulae and a Pairwise
//! Algorithm for Computing Sample Variances" (1979); third and fourth moments as in Pébay (2008), as in Spark.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::Accumulator;

use super::{Aggregate, counted};
use crate::columns::{At, doubles};

macro_rules! of_one {
    ($name:literal, $line:literal, $finish:expr) => {
        Aggregate {
            name: $name,
            aliases: &[],
            args: |given| counted(given, 1, 1).map(|()| vec![DataType::Float64]),
            returns: |_| Ok(DataType::Float64),
            state: |_| ["n", "mean", "m2", "m3", "m4"].map(|n| (n, DataType::Float64)).to_vec(),
            accumulator: |_| Ok(Box::new(Central { moments: Moments::default(), finish: $finish })),
            signature: concat!($name, "(x)"),
            line: $line,
            difference: None,
        }
    };
}

macro_rules! of_two {
    ($name:literal, $line:literal, $finish:expr) => {
        Aggregate {
            name: $name,
            aliases: &[],
            args: |given| counted(given, 2, 2).map(|()| vec![DataType::Float64; 2]),
            returns: |_| Ok(DataType::Float64),
            state: |_| ["n", "y", "x", "syy", "sxx", "sxy"].map(|n| (n, DataType::Float64)).to_vec(),
            accumulator: |_| Ok(Box::new(Joint { pairs: Pairs::default(), finish: $finish, whole: false })),
            signature: concat!($name, "(y, x)"),
            line: $line,
            difference: None,
        }
    };
}

pub(super) static AGGREGATES: &[Aggregate] = &[
    of_one!("skewness", "Third standardised moment; null if all values are equal.", |m| {
        (m.n > 0.0 && m.m2 > 0.0).then(|| m.n.sqrt() * m.m3 / (m.m2 * m.m2 * m.m2).sqrt())
    }),
    of_one!("kurtosis", "Fourth standardised moment less 3; null if all values are equal.", |m| {
        (m.n > 0.0 && m.m2 > 0.0).then(|| m.n * m.m4 / (m.m2 * m.m2) - 3.0)
    }),
    of_two!("covar_pop", "Population covariance.", |p| (p.n > 0.0).then(|| p.sxy / p.n)),
    of_two!("covar_samp", "Sample covariance; null of one pair.", |p| (p.n > 1.0).then(|| p.sxy / (p.n - 1.0))),
    of_two!("corr", "Correlation; null of one pair.", |p| { (p.n > 1.0).then(|| p.sxy / (p.sxx * p.syy).sqrt()) }),
    Aggregate {
        returns: |_| Ok(DataType::Int64),
        accumulator: |_| Ok(Box::new(Joint { pairs: Pairs::default(), finish: |p| Some(p.n), whole: true })),
        ..of_two!("regr_count", "Number of pairs without a null.", |p| Some(p.n))
    },
    of_two!("regr_avgx", "Mean of x over pairs without a null.", |p| (p.n > 0.0).then_some(p.x)),
    of_two!("regr_avgy", "Mean of y over pairs without a null.", |p| (p.n > 0.0).then_some(p.y)),
    of_two!("regr_sxx", "Sum of squared deviations of x.", |p| (p.n > 0.0).then_some(p.sxx)),
    of_two!("regr_syy", "Sum of squared deviations of y.", |p| (p.n > 0.0).then_some(p.syy)),
    of_two!("regr_sxy", "Sum of products of deviations.", |p| (p.n > 0.0).then_some(p.sxy)),
    of_two!("regr_slope", "Slope of the least-squares line.", |p| (p.n > 1.0 && p.sxx != 0.0).then(|| p.sxy / p.sxx)),
    of_two!("regr_intercept", "Where the least-squares line meets x = 0.", |p| {
        (p.n > 1.0 && p.sxx != 0.0).then(|| p.y - p.sxy / p.sxx * p.x)
    }),
    of_two!("regr_r2", "Squared correlation.", |p| {
        if p.n < 2.0 || p.sxx == 0.0 {
            None
        } else if p.syy == 0.0 {
            Some(1.0)
        } else {
            Some(p.sxy * p.sxy / (p.sxx * p.syy))
        }
    }),
];

fn scalars(values: &[f64]) -> Vec<ScalarValue> {
    values.iter().map(|&v| ScalarValue::Float64(Some(v))).collect()
}

/// Count, mean and sums of powers of deviations.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    n: f64,
    mean: f64,
    m2: f64,
    m3: f64,
    m4: f64,
}

impl Moments {
    fn merge(&mut self, b: Self) {
        let a = *self;
        if b.n == 0.0 {
            return;
        }
        let n = a.n + b.n;
        let delta = b.mean - a.mean;
        let step = delta / n;
        self.n = n;
        self.mean = a.mean + step * b.n;
        self.m2 = a.m2 + b.m2 + delta * step * a.n * b.n;
        self.m3 = a.m3 + b.m3 + step * step * delta * a.n * b.n * (a.n - b.n) + 3.0 * step * (a.n * b.m2 - b.n * a.m2);
        self.m4 = a.m4
            + b.m4
            + step * step * step * delta * a.n * b.n * (a.n * a.n - a.n * b.n + b.n * b.n)
            + 6.0 * step * step * (a.n * a.n * b.m2 + b.n * b.n * a.m2)
            + 4.0 * step * (a.n * b.m3 - b.n * a.m3);
    }
}

#[derive(Debug)]
struct Central {
    moments: Moments,
    finish: fn(&Moments) -> Option<f64>,
}

impl Accumulator for Central {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let x = doubles(&values[0]);
        for mean in x.iter().flatten() {
            self.moments.merge(Moments { n: 1.0, mean, ..Moments::default() });
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::Float64((self.finish)(&self.moments)))
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let Moments { n, mean, m2, m3, m4 } = self.moments;
        Ok(scalars(&[n, mean, m2, m3, m4]))
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let columns: Vec<_> = states.iter().map(doubles).collect();
        for row in 0..columns[0].len() {
            let at = |column: usize| columns[column].at(row).unwrap_or(0.0);
            self.moments.merge(Moments { n: at(0), mean: at(1), m2: at(2), m3: at(3), m4: at(4) });
        }
        Ok(())
    }
}

/// Count, means and sums of products of deviations, of pairs without a null.
#[derive(Debug, Clone, Copy, Default)]
struct Pairs {
    n: f64,
    y: f64,
    x: f64,
    syy: f64,
    sxx: f64,
    sxy: f64,
}

impl Pairs {
    fn merge(&mut self, b: Self) {
        let a = *self;
        if b.n == 0.0 {
            return;
        }
        let n = a.n + b.n;
        let (dy, dx) = (b.y - a.y, b.x - a.x);
        let weight = a.n * b.n / n;
        *self = Self {
            n,
            y: a.y + dy / n * b.n,
            x: a.x + dx / n * b.n,
            syy: a.syy + b.syy + dy * dy * weight,
            sxx: a.sxx + b.sxx + dx * dx * weight,
            sxy: a.sxy + b.sxy + dx * dy * weight,
        };
    }
}

#[derive(Debug)]
struct Joint {
    pairs: Pairs,
    finish: fn(&Pairs) -> Option<f64>,
    /// The result is a bigint.
    whole: bool,
}

impl Accumulator for Joint {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        let (ys, xs) = (doubles(&values[0]), doubles(&values[1]));
        for row in 0..ys.len() {
            if let (Some(y), Some(x)) = (ys.at(row), xs.at(row)) {
                self.pairs.merge(Pairs { n: 1.0, y, x, ..Pairs::default() });
            }
        }
        Ok(())
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let value = (self.finish)(&self.pairs);
        Ok(if self.whole { ScalarValue::Int64(value.map(|v| v as i64)) } else { ScalarValue::Float64(value) })
    }

    fn size(&self) -> usize {
        size_of_val(self)
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        let Pairs { n, y, x, syy, sxx, sxy } = self.pairs;
        Ok(scalars(&[n, y, x, syy, sxx, sxy]))
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let columns: Vec<_> = states.iter().map(doubles).collect();
        for row in 0..columns[0].len() {
            let at = |column: usize| columns[column].at(row).unwrap_or(0.0);
            self.pairs.merge(Pairs { n: at(0), y: at(1), x: at(2), syy: at(3), sxx: at(4), sxy: at(5) });
        }
        Ok(())
    }
}
