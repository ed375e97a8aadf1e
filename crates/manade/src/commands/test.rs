//! `manade test`.

use std::fmt::Write as _;
use std::time::Instant;

use manade_pipeline::plan::Fixed;
use manade_run::testing::{self, TestOutcome};

use super::{platform_failure, report_findings};
use crate::args::Test;
use crate::failure::{Failure, Outcome, nearest};
use crate::output::{counted, note, say};

pub fn run(args: &Test) -> Result<Outcome, Failure> {
    let began = Instant::now();
    let mut checked = manade_run::check(&args.path, |_| Fixed::default()).map_err(platform_failure)?;
    if checked.has_errors() {
        return report_findings(&checked.findings);
    }
    let all: Vec<String> =
        checked.plans.iter().flat_map(|plan| &plan.pipeline.tests).map(|test| test.name.clone()).collect();
    if all.is_empty() {
        note(&format!("there are no tests in {}\n", args.path.display()))?;
        note("hint: write them under spec.tests; `manade schema` and the examples show how\n")?;
        return Ok(Outcome::Done);
    }
    for wanted in &args.names {
        if !all.iter().any(|name| name.contains(wanted.as_str())) {
            let failure = Failure::new(format!("no test's name contains \"{wanted}\""));
            let otherwise = format!("`manade test {}` runs all of them, by name", args.path.display());
            return Err(nearest(failure, wanted, all.iter().map(String::as_str), &otherwise));
        }
    }
    if !args.names.is_empty() {
        for plan in &mut checked.plans {
            plan.pipeline.tests.retain(|test| args.names.iter().any(|wanted| test.name.contains(wanted.as_str())));
        }
    }
    let outcomes = testing::run(&checked, &[]);
    let failed = outcomes.iter().filter(|outcome| !outcome.failures.is_empty()).count();
    let mut out: String = outcomes.iter().map(lines).collect();
    let passed = counted((outcomes.len() - failed) as u64, "test");
    let time = began.elapsed().as_secs_f64();
    let _ = match failed {
        0 => writeln!(out, "{passed} passed in {time:.1} s"),
        failed => writeln!(out, "{failed} failed, {passed} passed in {time:.1} s"),
    };
    say(&out)?;
    Ok(if failed == 0 { Outcome::Done } else { Outcome::Failed })
}

fn lines(outcome: &TestOutcome) -> String {
    if outcome.failures.is_empty() {
        return format!("ok    {}: {}\n", outcome.pipeline, outcome.name);
    }
    let mut out = format!("FAIL  {}: {} ({})\n", outcome.pipeline, outcome.name, outcome.place);
    for failure in &outcome.failures {
        for line in failure.lines() {
            let _ = writeln!(out, "      {line}");
        }
    }
    out
}
