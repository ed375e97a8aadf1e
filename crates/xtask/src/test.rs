//! `cargo xtask test`: one step after the other, all failures in one go.

use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::report::{self, Outcome, Report};
use crate::suites::{self, Suite};
use crate::tools::{Need, Tools};
use crate::workspace::{BUILD, Workspace};
use crate::{generate, process, tidy};

/// From nothing, all dependencies are compiled.
pub const CARGO: Duration = Duration::from_hours(1);
/// With [`Options::ci`] no suite begins later than this: a whole run has a limit, and a slow machine must not reach it.
const LAST_BEGIN: Duration = Duration::from_hours(1);

pub struct Options {
    /// Leave out the suites.
    pub fast: bool,
    /// Use the system's package manager for what is missing.
    pub install: bool,
    /// A suite that cannot run has failed; one for which no time is left has not.
    pub ci: bool,
    /// Only the step of this name, after a build.
    pub only: Option<String>,
}

pub fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let start = Instant::now();
    let mut report = Report::default();
    if let Some(only) = &options.only {
        let known: Vec<&str> = STEPS.into_iter().chain(suites::ALL.map(|suite| suite.name)).collect();
        if !known.contains(&only.as_str()) {
            bail!("no step is called {only}; there are: {}", known.join(", "));
        }
    }
    let wanted = |name: &str| options.only.as_deref().is_none_or(|only| only == name);
    if wanted("formatting") {
        report.step("formatting", || cargo(workspace, &["fmt", "--all", "--check"]));
    }
    if wanted("tidy") {
        report.step("tidy", || tidy::step(workspace));
    }
    if report.step("build", || cargo(workspace, &BUILD)) {
        if wanted("clippy") {
            report.step("clippy", || cargo(workspace, &CLIPPY));
        }
        if wanted("cargo test") {
            report.step("cargo test", || {
                // The documentation's requests are made with it.
                Tools::new(options.install)?.provide(CURL)?;
                cargo_test(workspace, options.fast)
            });
        }
        if wanted("generated files") {
            report.step("generated files", || generate::check(workspace));
        }
        run_suites(workspace, options, start, &mut report)?;
    }
    report.close();
    Ok(report.exit_code())
}

const CURL: Need = Need::Debian { package: "curl", probe: "curl" };
/// Beside the suites.
const STEPS: [&str; 5] = ["formatting", "tidy", "clippy", "cargo test", "generated files"];
const CLIPPY: [&str; 9] =
    ["clippy", "--workspace", "--all-targets", "--release", "--locked", "--quiet", "--", "-D", "warnings"];

fn run_suites(workspace: &Workspace, options: &Options, start: Instant, report: &mut Report) -> Result<()> {
    if options.fast {
        report::say(&format!("left out by --fast: {}", suites::ALL.map(|suite| suite.name).join(", ")));
        return Ok(());
    }
    let tools = Tools::new(options.install)?;
    for suite in suites::ALL {
        if options.only.as_deref().is_none_or(|only| only == suite.name) {
            report.step(suite.name, || {
                if options.ci && start.elapsed() > LAST_BEGIN {
                    return Ok(Outcome::skip("no time is left: the machine is slow".to_owned()));
                }
                run_suite(workspace, &tools, &suite, options.ci)
            });
        }
    }
    Ok(())
}

fn run_suite(workspace: &Workspace, tools: &Tools, suite: &Suite, ci: bool) -> Result<Outcome> {
    for need in suite.needs {
        if let Err(reason) = tools.provide(*need) {
            return if ci { Err(reason) } else { Ok(Outcome::skip(format!("{reason:#}"))) };
        }
    }
    (suite.run)(workspace, tools)
}

/// One cargo command that is one test.
fn cargo(workspace: &Workspace, arguments: &[&str]) -> Result<Outcome> {
    let finished = process::run(workspace.cargo().args(arguments).stdin(Stdio::null()), CARGO)?;
    Ok(Outcome::one(finished.success(), finished.output))
}

fn cargo_test(workspace: &Workspace, fast: bool) -> Result<Outcome> {
    let mut command = workspace.cargo();
    command.args(["test", "--release", "--locked", "--workspace", "--no-fail-fast"]).stdin(Stdio::null());
    if fast {
        command.env("MANADE_TEST_FAST", "1");
    }
    let finished = process::run(&mut command, CARGO)?;
    Ok(counted(finished.success(), finished.output))
}

/// Adds up the closing lines of the test programs, which are shown too.
pub fn counted(success: bool, output: String) -> Outcome {
    let mut outcome = Outcome::default();
    let mut program = "";
    for line in output.lines() {
        let words = line.trim_start();
        if words.starts_with("Running ") || words.starts_with("Doc-tests ") {
            // Without the path of the program.
            program = words.split(" (").next().unwrap_or(words);
        } else if let Some(counts) = words.strip_prefix("test result: ") {
            outcome.passed += number_before(counts, " passed");
            outcome.failed += number_before(counts, " failed");
            outcome.skipped += number_before(counts, " ignored");
            if number_before(counts, " passed") + number_before(counts, " failed") > 0 {
                outcome.notes.push(format!("{program}: {words}"));
            }
        }
    }
    if !success && outcome.failed == 0 {
        outcome.failed = 1;
    }
    outcome.output = output;
    outcome
}

/// The number that stands before a word; 0 where there is none.
pub fn number_before(text: &str, word: &str) -> u64 {
    let Some(end) = text.find(word) else { return 0 };
    let digits = text[..end].rfind(|c: char| !c.is_ascii_digit()).map_or(0, |place| place + 1);
    text[digits..end].parse().unwrap_or(0)
}

#[cfg(test)]
mod tests;
