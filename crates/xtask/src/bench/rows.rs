//! Rows of different systems, made comparable: as multisets of hashes over canonical values.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::random::mix;

/// How a column's values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Texts by their characters, numbers by their value, however they are written.
    Plain,
    /// Moments, with or without a `T`, a zone (which is UTC) or a fraction of zeros.
    Time,
    /// The start of a window that only a closed one gives: as `Time`. Windows are compared up to the last start that every
    /// system has.
    Window,
    /// A mean of whole numbers, which Flink cuts to a whole number.
    Mean,
}

pub type Columns = &'static [(&'static str, Kind)];

/// Whether means are compared whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    Exact,
    Whole,
}

/// Rows as they stand in files of NDJSON.
pub struct Source {
    pub files: Vec<PathBuf>,
    pub columns: Columns,
    pub means: Means,
}

/// Sorted: by window, then by hash.
#[derive(Debug, PartialEq, Eq)]
pub struct Rows(Vec<(u64, u64)>);

impl Source {
    /// The files of a folder that hold rows; others are hidden or begin with `_`.
    pub fn folder(folder: &Path, columns: Columns, means: Means) -> Result<Self> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))? {
            let path = entry?.path();
            let hidden = path.file_name().is_none_or(|name| name.to_string_lossy().starts_with(['.', '_']));
            if !hidden && path.is_file() {
                files.push(path);
            }
        }
        Ok(Self { files, columns, means })
    }

    pub fn read(&self) -> Result<Rows> {
        let mut rows = Vec::new();
        self.each(|_, row| rows.push(row))?;
        rows.sort_unstable();
        Ok(Rows(rows))
    }

    /// Some rows that are not among those, in full.
    pub fn not_in(&self, others: &Rows, until: u64) -> Result<Vec<String>> {
        let others: HashSet<(u64, u64)> = others.0.iter().copied().collect();
        let mut found = Vec::new();
        self.each(|line, row| {
            if found.len() < 3 && row.0 <= until && !others.contains(&row) {
                found.push(line.to_owned());
            }
        })?;
        Ok(found)
    }

    fn each(&self, mut take: impl FnMut(&str, (u64, u64))) -> Result<()> {
        for file in &self.files {
            let reader = BufReader::new(File::open(file).with_context(|| format!("read {}", file.display()))?);
            for line in reader.lines() {
                let line = line.with_context(|| format!("read {}", file.display()))?;
                let row = canonical(&line, self.columns, self.means);
                take(&line, row.with_context(|| format!("{}: {line}", file.display()))?);
            }
        }
        Ok(())
    }
}

impl Rows {
    /// Of the last window; 0 where there are none.
    pub fn last_window(&self) -> u64 {
        self.0.last().map_or(0, |(window, _)| *window)
    }

    pub fn until(&self, window: u64) -> &[(u64, u64)] {
        &self.0[..self.0.partition_point(|row| row.0 <= window)]
    }
}

/// Does not depend on the order.
pub fn sum(rows: &[(u64, u64)]) -> u64 {
    rows.iter().fold(0, |sum, (_, hash)| sum.wrapping_add(*hash))
}

/// FNV-1a, with its bits spread.
pub fn checksum(bytes: &[u8]) -> u64 {
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)))
}

/// Window and hash of a row.
fn canonical(line: &str, columns: Columns, means: Means) -> Result<(u64, u64)> {
    let row: Value = serde_json::from_str(line)?;
    let mut text = String::new();
    let mut window = 0;
    for (name, kind) in columns {
        // Spark leaves nulls out.
        let value = row.get(name).unwrap_or(&Value::Null);
        match kind {
            Kind::Plain => text.push_str(&plain(value)?),
            Kind::Time => text.push_str(&time(value)?),
            Kind::Window => {
                let start = time(value)?;
                let digits: String = start.chars().filter(char::is_ascii_digit).take(14).collect();
                window = digits.parse().with_context(|| format!("{start} is no moment"))?;
                text.push_str(&start);
            }
            Kind::Mean => {
                let mean = value.as_f64().with_context(|| format!("{name} is no number"))?;
                text.push_str(&if means == Means::Whole { mean.trunc() } else { mean }.to_string());
            }
        }
        text.push('\u{1f}');
    }
    Ok((window, checksum(text.as_bytes())))
}

fn plain(value: &Value) -> Result<String> {
    Ok(match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        // Whole numbers and decimals here have fewer digits than a float holds.
        Value::Number(number) => number.as_f64().context("a number out of range")?.to_string(),
        Value::String(text) => format!("\"{text}"),
        Value::Array(_) | Value::Object(_) => bail!("nested values are not compared"),
    })
}

fn time(value: &Value) -> Result<String> {
    let text = value.as_str().context("a moment is a text")?.replacen(' ', "T", 1);
    let text = text.strip_suffix('Z').unwrap_or(&text);
    Ok(match text.split_once('.') {
        Some((seconds, fraction)) => {
            format!("{seconds}.{}", fraction.trim_end_matches('0')).trim_end_matches('.').to_owned()
        }
        None => text.to_owned(),
    })
}

#[cfg(test)]
mod tests;
