//! Quantile summaries: Greenwald and Khanna, "Space-Efficient Online Computation of Quantile Summaries" (SIGMOD 2001), in
//! the variant of Spark's `QuantileSummaries`, so that equal input in equal portions gives equal answers.

/// Values that are kept before they are worked in: more than one portion of events has, so that a portion's summary has
/// all of its values.
const HEAD: usize = 200_000;
/// Samples from which on working in compresses.
const COMPRESS: usize = 10_000;

/// A sampled value: `gap` values lie between its least rank and that of the sample before, its rank is uncertain by
/// `delta`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sample {
    value: f64,
    gap: u64,
    delta: u64,
}

/// A summary that answers rank queries to within `error` times the count.
#[derive(Debug, Clone)]
pub(super) struct Summary {
    error: f64,
    samples: Vec<Sample>,
    /// Of `samples`, without `head`.
    count: u64,
    head: Vec<f64>,
    compressed: bool,
}

impl Summary {
    /// A summary whose answers' ranks are off by at most `error` times the count.
    pub(super) fn new(error: f64) -> Self {
        Self { error, samples: Vec::new(), count: 0, head: Vec::new(), compressed: true }
    }

    pub(super) fn insert(&mut self, value: f64) {
        self.head.push(value);
        self.compressed = false;
        if self.head.len() >= HEAD {
            self.work_in();
            if self.samples.len() >= COMPRESS {
                self.compress();
            }
        }
    }

    pub(super) fn compress(&mut self) {
        if !self.compressed {
            self.work_in();
            self.samples = merged(&self.samples, 2.0 * self.error * self.count as f64);
            self.compressed = true;
        }
    }

    pub(super) fn merge(&mut self, mut other: Self) {
        other.work_in();
        // What has every value of its own is inserted. Merging instead would add up bounds of uncertainty until nothing
        // can be joined any more: a summary into which portions are merged for ever would grow for ever.
        if other.count == other.samples.len() as u64 && self.error <= other.error {
            other.samples.iter().for_each(|sample| self.insert(sample.value));
            return;
        }
        self.compress();
        other.compress();
        if self.count == 0 {
            *self = other;
            return;
        }
        // A sample's rank is uncertain by what the other summary does not know, too.
        let own = (2.0 * other.error * other.count as f64).floor() as u64;
        let others = (2.0 * self.error * self.count as f64).floor() as u64;
        let mut all = Vec::with_capacity(self.samples.len() + other.samples.len());
        let (mut a, mut b) = (0, 0);
        while a < self.samples.len() && b < other.samples.len() {
            let (mut next, more);
            if self.samples[a].value.total_cmp(&other.samples[b].value).is_lt() {
                (next, more) = (self.samples[a], if b > 0 { own } else { 0 });
                a += 1;
            } else {
                (next, more) = (other.samples[b], if a > 0 { others } else { 0 });
                b += 1;
            }
            next.delta += more;
            all.push(next);
        }
        all.extend_from_slice(&self.samples[a..]);
        all.extend_from_slice(&other.samples[b..]);
        self.error = self.error.max(other.error);
        self.count += other.count;
        let threshold = 2.0 * self.error * self.count as f64;
        self.samples = merged(&all, threshold);
    }

    /// The value at each of `percentages` (0 to 1); none if there are no values.
    pub(super) fn query(&mut self, percentages: &[f64]) -> Option<Vec<f64>> {
        self.compress();
        let (first, last) = (self.samples.first()?, self.samples.last()?);
        let widest = self.samples.iter().map(|s| s.delta + s.gap).max()?;
        let tolerance = (widest / 2) as f64;
        Some(
            percentages
                .iter()
                .map(|&p| {
                    if p <= self.error || self.samples.len() == 1 {
                        first.value
                    } else if p >= 1.0 - self.error {
                        last.value
                    } else {
                        self.at_rank((p * self.count as f64).ceil(), tolerance)
                    }
                })
                .collect(),
        )
    }

    pub(super) fn size(&self) -> usize {
        self.samples.capacity() * size_of::<Sample>() + self.head.capacity() * size_of::<f64>()
    }

    /// Version, error, count, then the samples: value (8 bytes), gap and delta as LEB128.
    pub(super) fn encode(&mut self) -> Vec<u8> {
        self.work_in();
        let mut out = Vec::with_capacity(17 + self.samples.len() * 10);
        out.push(1);
        out.extend_from_slice(&self.error.to_le_bytes());
        put(self.count, &mut out);
        for sample in &self.samples {
            out.extend_from_slice(&sample.value.to_le_bytes());
            put(sample.gap, &mut out);
            put(sample.delta, &mut out);
        }
        out
    }

    /// Reads [`Self::encode`]; none if they are no summary.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(&[1])?;
        let error = double(&mut rest)?;
        let count = get(&mut rest)?;
        let mut samples = Vec::with_capacity(rest.len() / 10);
        while !rest.is_empty() {
            samples.push(Sample { value: double(&mut rest)?, gap: get(&mut rest)?, delta: get(&mut rest)? });
        }
        Some(Self { error, samples, count, head: Vec::new(), compressed: false })
    }

    fn at_rank(&self, rank: f64, tolerance: f64) -> f64 {
        let mut least = 0;
        let (last, others) = self.samples.split_last().expect("queried only if there are samples");
        for sample in others {
            least += sample.gap;
            let most = (least + sample.delta) as f64;
            if most - tolerance <= rank && rank <= least as f64 + tolerance {
                return sample.value;
            }
        }
        last.value
    }

    fn work_in(&mut self) {
        if self.head.is_empty() {
            return;
        }
        let mut head = std::mem::take(&mut self.head);
        head.sort_unstable_by(f64::total_cmp);
        let mut all = Vec::with_capacity(self.samples.len() + head.len());
        let mut next = 0;
        let exact = self.count == self.samples.len() as u64;
        for (i, &value) in head.iter().enumerate() {
            while next < self.samples.len() && self.samples[next].value.total_cmp(&value).is_le() {
                all.push(self.samples[next]);
                next += 1;
            }
            self.count += 1;
            let edge = all.is_empty() || next == self.samples.len() && i == head.len() - 1;
            let delta = if edge || exact { 0 } else { (2.0 * self.error * self.count as f64).floor() as u64 };
            all.push(Sample { value, gap: 1, delta });
        }
        all.extend_from_slice(&self.samples[next..]);
        self.samples = all;
    }
}

/// Neighbours joined where their uncertainty stays below `threshold`; the first and the last stay.
fn merged(samples: &[Sample], threshold: f64) -> Vec<Sample> {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else { return Vec::new() };
    let mut out = Vec::with_capacity(samples.len());
    let mut head = *last;
    for sample in samples[1..].iter().rev().skip(1) {
        if ((sample.gap + head.gap + head.delta) as f64) < threshold {
            head.gap += sample.gap;
        } else {
            out.push(head);
            head = *sample;
        }
    }
    out.push(head);
    if samples.len() > 1 {
        out.push(*first);
    }
    out.reverse();
    out
}

fn put(mut value: u64, out: &mut Vec<u8>) {
    while value > 127 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

fn get(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 127) << shift;
        if byte < 128 {
            return Some(value);
        }
    }
    None
}

fn double(rest: &mut &[u8]) -> Option<f64> {
    let (bytes, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(f64::from_le_bytes(*bytes))
}
