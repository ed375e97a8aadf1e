//! Tests that need other programs: what each needs, and how it runs.

mod browser;
mod certificates;
mod chain;
mod clients;
mod crash;
mod differential;
mod failures;
mod metrics;
mod mongodb;
mod parquet;
mod proxy;
mod rabbitmq;
mod schemathesis;
mod secrets;
pub mod soak;

use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::process;
use crate::report::Outcome;
use crate::test::number_before;
use crate::tools::{Need, Tools};
use crate::workspace::Workspace;

pub struct Suite {
    pub name: &'static str,
    pub needs: &'static [Need],
    pub run: fn(&Workspace, &Tools) -> Result<Outcome>,
}

/// In the order in which they run: first those in which events can be lost, see [`crate::test`].
pub const ALL: [Suite; 13] = [
    failures::SUITE,
    crash::KILLS,
    crash::POWER_CUTS,
    rabbitmq::SUITE,
    mongodb::SUITE,
    chain::SUITE,
    parquet::SUITE,
    differential::SUITE,
    schemathesis::SUITE,
    metrics::SUITE,
    clients::PYTHON,
    clients::JAVASCRIPT,
    browser::SUITE,
];

/// How long anything may take before it has failed, on a slow machine.
const PATIENCE: Duration = Duration::from_mins(3);

/// What the cases of a suite run on, one after the other.
trait Rig {
    /// Before each case.
    fn begin(&mut self) -> Result<()>;
    /// What `manade up` has said since it was started last.
    fn log(&self) -> String;
}

type Case<R> = (&'static str, fn(&mut R) -> Result<()>);

/// All failures in one go.
fn run_cases<R: Rig>(rig: &mut R, cases: &[Case<R>]) -> Outcome {
    let mut outcome = Outcome::default();
    for (name, case) in cases {
        match rig.begin().and_then(|()| case(rig)) {
            Ok(()) => outcome.passed += 1,
            Err(error) => {
                outcome.failed += 1;
                let _ = writeln!(outcome.output, "{name}: {error:#}\n{}", rig.log());
            }
        }
    }
    outcome.notes.push(format!("{} passed, {} failed", outcome.passed, outcome.failed));
    outcome
}

/// Asks again and again, until it is so; `how` says how things stand where it was in vain.
fn wait_for<R>(
    rig: &mut R,
    what: &str,
    mut is_there: impl FnMut(&mut R) -> Result<bool>,
    how: impl Fn(&R) -> String,
) -> Result<()> {
    let begun = Instant::now();
    loop {
        let found = is_there(rig);
        if matches!(found, Ok(true)) {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            match found {
                Err(error) => return Err(error.context(format!("waited for {what}"))),
                Ok(_) => bail!("waited for {what} in vain; {}", how(rig)),
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// Runs a script that ends with the line `N passed, N failed`.
fn counting(command: &mut Command, limit: Duration) -> Result<Outcome> {
    let finished = process::run(command.stdin(Stdio::null()), limit)?;
    Ok(counted(finished.success(), finished.output))
}

fn counted(success: bool, output: String) -> Outcome {
    let last = output.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let (passed, failed) = (number_before(last, " passed"), number_before(last, " failed"));
    // A script that dies says no numbers.
    let failed = if success { failed } else { failed.max(1) };
    Outcome { passed, failed, notes: vec![format!("{passed} passed, {failed} failed")], output, ..Outcome::default() }
}

#[cfg(test)]
mod tests;
