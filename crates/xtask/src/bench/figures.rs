//! What was measured, beside what must be reached: as a table, as JSON lines, and in docs/benchmarks.md.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::statistics::short;
use crate::generate::replace_between;
use crate::report;

#[derive(Debug, Clone, Copy)]
pub enum Bar {
    AtLeast(f64),
    AtMost(f64),
}

#[derive(Debug, Clone)]
pub struct Figure {
    pub work: String,
    pub what: String,
    pub value: f64,
    pub unit: &'static str,
    pub bar: Option<Bar>,
    /// Of which the value is the median; empty for what is no median.
    pub runs: Vec<f64>,
}

/// What one benchmark found.
pub struct Section {
    pub name: &'static str,
    /// Said above the table.
    pub lines: Vec<String>,
    pub headers: Vec<String>,
    pub rows: Vec<Vec<String>>,
    pub figures: Vec<Figure>,
    /// Shown below the table as it is.
    pub plot: Option<String>,
}

impl Bar {
    pub fn reached(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bar) => value >= bar,
            Self::AtMost(bar) => value <= bar,
        }
    }

    pub fn text(self, unit: &str) -> String {
        match self {
            Self::AtLeast(bar) => format!("at least {}", with_unit(bar, unit)),
            Self::AtMost(bar) => format!("at most {}", with_unit(bar, unit)),
        }
    }
}

pub fn mark(reached: bool) -> String {
    if reached { "yes" } else { "NO" }.to_owned()
}

pub fn with_unit(value: f64, unit: &str) -> String {
    // Bars are round numbers.
    let number = if value < 100.0 && value.fract() == 0.0 { value.to_string() } else { short(value) };
    if unit == "x" { format!("{number}x") } else { format!("{number} {unit}") }
}

impl Section {
    /// A row for each figure.
    pub fn of(name: &'static str, lines: Vec<String>, figures: Vec<Figure>) -> Self {
        let headers = ["work", "figure", "measured", "must reach", "reached"].map(str::to_owned).to_vec();
        let row = |figure: &Figure| {
            let (bar, reached) = match figure.bar {
                Some(bar) => (bar.text(figure.unit), mark(bar.reached(figure.value))),
                None => (String::new(), String::new()),
            };
            vec![figure.work.clone(), figure.what.clone(), with_unit(figure.value, figure.unit), bar, reached]
        };
        let rows = figures.iter().map(row).collect();
        Self { name, lines, headers, rows, figures, plot: None }
    }

    pub fn print(&self) {
        report::say(&format!("\n{}", self.name));
        for line in &self.lines {
            report::say(&format!("  {line}"));
        }
        let all: Vec<&Vec<String>> = std::iter::once(&self.headers).chain(&self.rows).collect();
        let widths: Vec<usize> = (0..self.headers.len())
            .map(|column| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
            .collect();
        report::say("");
        for row in all {
            let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            report::say(format!("  {}", cells.join("  ")).trim_end());
        }
        if let Some(plot) = &self.plot {
            report::say(&format!("\n{plot}"));
        }
    }

    /// How many bars there are, and how many of them were reached.
    pub fn bars(&self) -> (usize, usize) {
        let reached: Vec<bool> =
            self.figures.iter().filter_map(|figure| figure.bar.map(|bar| bar.reached(figure.value))).collect();
        (reached.len(), reached.iter().filter(|reached| **reached).count())
    }

    /// Appends a line for each figure.
    pub fn append(&self, path: &Path) -> Result<()> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let mut file = file.with_context(|| format!("open {}", path.display()))?;
        for figure in &self.figures {
            writeln!(file, "{}", self.json(figure)).with_context(|| format!("write {}", path.display()))?;
        }
        Ok(())
    }

    /// Replaces this benchmark's block of the page.
    pub fn document(&self, page: &Path) -> Result<()> {
        let text = fs::read_to_string(page).with_context(|| format!("read {}", page.display()))?;
        let begin = format!("<!-- {}: written by `cargo xtask bench --write-docs` -->\n", self.name);
        let end = format!("<!-- end of {} -->", self.name);
        let text = replace_between(&text, &begin, &end, &self.markdown())
            .with_context(|| format!("find the figures' place in {}", page.display()))?;
        fs::write(page, text).with_context(|| format!("write {}", page.display()))
    }

    fn json(&self, figure: &Figure) -> Value {
        let (at_least, at_most) = match figure.bar {
            Some(Bar::AtLeast(bar)) => (Some(bar), None),
            Some(Bar::AtMost(bar)) => (None, Some(bar)),
            None => (None, None),
        };
        json!({
            "bench": self.name, "work": figure.work, "figure": figure.what, "value": figure.value, "unit": figure.unit,
            "runs": figure.runs, "at_least": at_least, "at_most": at_most,
            "reached": figure.bar.map(|bar| bar.reached(figure.value)),
        })
    }

    fn markdown(&self) -> String {
        let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut text = String::from("\n");
        for line in &self.lines {
            let _ = writeln!(text, "- {line}");
        }
        text.push('\n');
        text.push_str(&row(&self.headers));
        let _ = writeln!(text, "|{}", "---|".repeat(self.headers.len()));
        for cells in &self.rows {
            text.push_str(&row(cells));
        }
        if let Some(plot) = &self.plot {
            let _ = write!(text, "\n```text\n{plot}\n```\n");
        }
        text.push('\n');
        text
    }
}
