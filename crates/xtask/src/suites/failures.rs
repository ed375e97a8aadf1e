//! The store where writes and syncs fail. It is built with places to fail at, which no other build of it has.

use std::process::Stdio;
use std::time::Duration;

use anyhow::Result;

use super::Suite;
use crate::process;
use crate::report::Outcome;
use crate::test::counted;
use crate::tools::Tools;
use crate::workspace::Workspace;

pub const SUITE: Suite = Suite { name: "failing disk", needs: &[], run };

/// Arrow is compiled anew for it, the first time.
const LIMIT: Duration = Duration::from_hours(1);
const ARGUMENTS: [&str; 9] =
    ["test", "--release", "--locked", "--package", "manade-store", "--features", "failpoints", "--test", "failures"];

fn run(workspace: &Workspace, _: &Tools) -> Result<Outcome> {
    let finished = process::run(workspace.cargo().args(ARGUMENTS).stdin(Stdio::null()), LIMIT)?;
    Ok(counted(finished.success(), finished.output))
}
