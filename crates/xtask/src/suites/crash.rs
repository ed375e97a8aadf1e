//! A loaded `manade up` that is killed, and one whose power is cut, see [`crate::crash`].

use std::cell::RefCell;
use std::time::Duration;

use super::Suite;
use crate::crash;
use crate::report::Outcome;
use crate::tools::{Need, Tools};
use crate::workspace::Workspace;

const COMPILER: &[Need] = &[Need::Debian { package: "gcc", probe: "cc" }];
const RUNS: u64 = 25;
/// On a slow machine there are fewer runs.
const LONGEST: Duration = Duration::from_mins(8);

pub const KILLS: Suite =
    Suite { name: "crash", needs: COMPILER, run: |workspace, _: &Tools| Ok(run(workspace, false)) };
pub const POWER_CUTS: Suite =
    Suite { name: "power cut", needs: COMPILER, run: |workspace, _: &Tools| Ok(run(workspace, true)) };

fn run(workspace: &Workspace, power_cut: bool) -> Outcome {
    let told = RefCell::new(Vec::new());
    let options = crash::Options { runs: RUNS, seed: None, power_cut, binary: None, longest: Some(LONGEST) };
    let done = crash::run(workspace, &options, |line| told.borrow_mut().push(line.to_owned()));
    let told = told.into_inner();
    let passed = told.iter().filter(|line| line.starts_with("seed ")).count() as u64;
    let last = told.last().cloned().unwrap_or_default();
    match done {
        Ok(_) => Outcome { passed, notes: vec![last], ..Outcome::default() },
        Err(error) => {
            Outcome { passed, failed: 1, output: format!("{}\n{error:#}", told.join("\n")), ..Outcome::default() }
        }
    }
}
