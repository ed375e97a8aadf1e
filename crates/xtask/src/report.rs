//! What the developer sees: a line a step, the whole output of a failing one, and a closing line.

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;

/// What came of a step.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub passed: u64,
    pub failed: u64,
    pub skipped: u64,
    /// Shown under the step's line.
    pub notes: Vec<String>,
    /// Shown when something failed.
    pub output: String,
}

/// Adds up the steps.
#[derive(Debug, Default)]
pub struct Report {
    passed: u64,
    failed: u64,
    skipped: u64,
    failures: Vec<String>,
}

impl Outcome {
    /// A step that is one test.
    pub fn one(success: bool, output: String) -> Self {
        Self { passed: u64::from(success), failed: u64::from(!success), output, ..Self::default() }
    }

    pub fn skip(reason: String) -> Self {
        Self { skipped: 1, notes: vec![reason], ..Self::default() }
    }
}

impl Report {
    /// Runs a step and shows what came of it. Whether it succeeded.
    pub fn step(&mut self, name: &str, run: impl FnOnce() -> Result<Outcome>) -> bool {
        show(&format!("{name} ... "));
        let start = Instant::now();
        let outcome = run().unwrap_or_else(|error| Outcome::one(false, format!("{error:#}")));
        let word = match &outcome {
            Outcome { failed: 1.., .. } => "FAILED",
            Outcome { passed: 0, skipped: 1.., .. } => "skipped",
            _ => "ok",
        };
        say(&format!("{word} ({:.1} s)", start.elapsed().as_secs_f64()));
        for note in &outcome.notes {
            say(&format!("    {note}"));
        }
        if outcome.failed > 0 {
            self.failures.push(name.to_owned());
            for line in outcome.output.lines() {
                say(&format!("  | {line}"));
            }
        }
        self.passed += outcome.passed;
        self.failed += outcome.failed;
        self.skipped += outcome.skipped;
        outcome.failed == 0
    }

    /// The closing line.
    pub fn close(&self) {
        if !self.failures.is_empty() {
            say(&format!("\nfailed: {}", self.failures.join(", ")));
        }
        say(&format!("\n{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped));
    }

    pub fn exit_code(&self) -> ExitCode {
        if self.failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

pub fn say(line: &str) {
    show(&format!("{line}\n"));
}

pub fn complain(line: &str) {
    // Nobody is left to tell when stderr is closed.
    let _ = writeln!(std::io::stderr(), "{line}");
}

fn show(text: &str) {
    let mut stdout = std::io::stdout().lock();
    // A closed stdout must not end the tests.
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}
