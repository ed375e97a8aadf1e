//! The command line.

use std::env;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::report::{self, Report};
use crate::tools::Tools;
use crate::workspace::Workspace;
use crate::{bench, crash, fuzz, generate, services, suites, test, tidy};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  test [--fast] [--install] [--only NAME]
                       everything that must hold: formatting, clippy, tidy, tests, generated files, and the suites that
                       need other programs; those are installed into $MANADE_CACHE (default: ~/.cache/manade). What
                       only the system's package manager has is installed with --install or CI=true (as root), and
                       otherwise the suites that need it are skipped.
                       --fast leaves out the suites; --only runs one of them (or one step) after a build
  tidy                 rules of this code base that no other tool checks
  generate [--check]   writes the files that are generated from the code; --check compares them only
  dist                 builds what is shipped and benchmarked
  bench [NAME ...] [--runs N] [--events N] [--binary PATH] [--without spark|flink] [--json FILE] [--write-docs]
                       measures throughput, ingest, queries, growth, start and chain, or those that are named, beside
                       Spark and Flink, which are installed into $MANADE_CACHE; docs/benchmarks.md says what and how.
                       --runs (3) is the number of runs of which the median counts; --events is for a quick look;
                       --binary takes another program than what `dist` builds; --json appends a line a figure;
                       --write-docs puts the figures into docs/benchmarks.md
  crash [--runs N] [--seed N] [--power-cut] [--binary PATH]
                       kills a loaded `manade up` again and again and compares what it holds; --power-cut also takes away
                       what was not synced
  soak [--minutes N] [--seed N]
                       the connectors under load for so long (60), while parts are killed and hang at random
  services up|down|status [NAME ...]
                       real servers to try things with, all or those that are named: rabbitmq, mongodb, kafka, s3. They are installed like what
                       the suites need; each has its files in $MANADE_CACHE
  fuzz TARGET [--seconds N]
                       libFuzzer over events, platform files (platform) or query strings (query)";

pub fn run(arguments: Vec<String>) -> Result<ExitCode> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let workspace = Workspace::find()?;
    match words.as_slice() {
        ["test", options @ ..] => test::run(&workspace, &test_options(options)?),
        ["tidy"] => Ok(single("tidy", || tidy::step(&workspace))),
        ["generate"] => {
            workspace.build()?;
            generate::write(&workspace)?;
            Ok(ExitCode::SUCCESS)
        }
        ["generate", "--check"] => {
            workspace.build()?;
            Ok(single("generated files", || generate::check(&workspace)))
        }
        ["dist"] => dist(&workspace),
        ["bench", options @ ..] => bench::run(&workspace, &bench_options(options)?),
        ["crash", options @ ..] => {
            workspace.build()?;
            crash::run(&workspace, &crash_options(options)?, report::say)?;
            Ok(ExitCode::SUCCESS)
        }
        ["soak", options @ ..] => {
            workspace.build()?;
            let (minutes, seed) = soak_options(options)?;
            suites::soak::run(&workspace, Duration::from_mins(minutes), seed)?;
            Ok(ExitCode::SUCCESS)
        }
        ["services", action @ ("up" | "down" | "status"), names @ ..] => {
            let tools = Tools::new(true)?;
            match *action {
                "up" => services::up(&tools, names)?,
                "down" => services::down(&tools, names)?,
                _ => services::status(&tools, names)?,
            }
            Ok(ExitCode::SUCCESS)
        }
        ["fuzz", target] => fuzz::run(&workspace, target, 600).map(|()| ExitCode::SUCCESS),
        ["fuzz", target, "--seconds", seconds] => {
            let seconds = seconds.parse().context("--seconds needs a number")?;
            fuzz::run(&workspace, target, seconds).map(|()| ExitCode::SUCCESS)
        }
        ["help" | "--help" | "-h"] => {
            report::say(USAGE);
            Ok(ExitCode::SUCCESS)
        }
        _ => {
            report::complain(USAGE);
            Ok(ExitCode::from(2))
        }
    }
}

fn test_options(words: &[&str]) -> Result<test::Options> {
    let ci = env::var("CI").is_ok_and(|value| value == "true" || value == "1");
    let mut options = test::Options { fast: false, install: ci, ci, only: None };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--fast" => options.fast = true,
            "--install" => options.install = true,
            "--only" => match words.next() {
                Some(name) => options.only = Some((*name).to_owned()),
                None => bail!("--only needs the name of a step"),
            },
            other => bail!("unknown option {other}\n{USAGE}"),
        }
    }
    Ok(options)
}

fn bench_options(words: &[&str]) -> Result<bench::Options> {
    let mut options = bench::Options {
        only: Vec::new(),
        runs: 3,
        events: None,
        binary: None,
        without: Vec::new(),
        json: None,
        write_docs: false,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().copied().with_context(|| format!("{word} needs a value"));
        match *word {
            "--runs" => options.runs = count(value()?)? as usize,
            "--events" => options.events = Some(count(value()?)?),
            "--binary" => options.binary = Some(value()?.into()),
            "--without" => options.without.push(bench::System::named(value()?)?),
            "--json" => options.json = Some(value()?.into()),
            "--write-docs" => options.write_docs = true,
            other if other.starts_with('-') => bail!("unknown option {other}\n{USAGE}"),
            name => options.only.push(name.to_owned()),
        }
    }
    Ok(options)
}

fn count(text: &str) -> Result<u64> {
    match text.replace('_', "").parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => bail!("{text} is no number from 1 on"),
    }
}

fn crash_options(words: &[&str]) -> Result<crash::Options> {
    let mut options = crash::Options { runs: 25, seed: None, power_cut: false, binary: None, longest: None };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().copied().with_context(|| format!("{word} needs a value"));
        match *word {
            "--runs" => options.runs = value()?.parse().context("--runs needs a number")?,
            "--seed" => options.seed = Some(value()?.parse().context("--seed needs a number")?),
            "--binary" => options.binary = Some(value()?.into()),
            "--power-cut" => options.power_cut = true,
            other => bail!("unknown option {other}\n{USAGE}"),
        }
    }
    Ok(options)
}

fn soak_options(words: &[&str]) -> Result<(u64, Option<u64>)> {
    let (mut minutes, mut seed) = (60, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().copied().with_context(|| format!("{word} needs a value"));
        match *word {
            "--minutes" => minutes = count(value()?)?,
            "--seed" => seed = Some(value()?.parse().context("--seed needs a number")?),
            other => bail!("unknown option {other}\n{USAGE}"),
        }
    }
    Ok((minutes, seed))
}

fn single(name: &str, step: impl FnOnce() -> Result<report::Outcome>) -> ExitCode {
    let mut report = Report::default();
    report.step(name, step);
    report.exit_code()
}

fn dist(workspace: &Workspace) -> Result<ExitCode> {
    let binary = workspace.build_dist()?;
    let bytes = std::fs::metadata(&binary)?.len();
    report::say(&format!("{} ({:.1} MiB)", binary.display(), bytes as f64 / 1_048_576.0));
    Ok(ExitCode::SUCCESS)
}
