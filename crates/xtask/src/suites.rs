//! Tests that need other programs: what each needs, and how it runs.

mod browser;
mod clients;
mod crash;
mod differential;
mod failures;
mod metrics;
mod rabbitmq;
mod schemathesis;

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;

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

/// In the order in which they run.
pub const ALL: [Suite; 10] = [
    failures::SUITE,
    differential::SUITE,
    schemathesis::SUITE,
    metrics::SUITE,
    clients::PYTHON,
    clients::JAVASCRIPT,
    browser::SUITE,
    rabbitmq::SUITE,
    crash::KILLS,
    crash::POWER_CUTS,
];

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
