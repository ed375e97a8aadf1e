//! The same SQL over the same events in PySpark and in Manade: see tests/differential/run.py.

use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::{Suite, counting};
use crate::process;
use crate::report::Outcome;
use crate::tools::{JAVA, SPARK, Tools};
use crate::workspace::Workspace;

pub const SUITE: Suite = Suite { name: "differential SQL", needs: &[JAVA, SPARK], run };

const LIMIT: Duration = Duration::from_mins(15);

fn run(workspace: &Workspace, tools: &Tools) -> Result<Outcome> {
    let folder = workspace.root.join("tests").join("differential");
    let python = || {
        let mut command = Command::new(tools.pip_program("spark", "python"));
        command.current_dir(&folder).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    };
    // A comparer that sees no difference would pass everything.
    let own = process::run(python().args(["-m", "unittest", "--quiet"]), LIMIT)?;
    if !own.success() {
        return Ok(Outcome::one(false, own.output));
    }
    let mut command = python();
    command.arg("run.py").arg("--manade").arg(workspace.manade());
    command.arg("--cache").arg(tools.cache("spark-answers"));
    counting(&mut command, LIMIT)
}
