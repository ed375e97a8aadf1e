//! The store where writes and syncs fail. It is built with places to fail at, which no other build of it has.

use std::process::Stdio;

use anyhow::Result;

use super::Suite;
use crate::process;
use crate::report::Outcome;
use crate::test::{CARGO, counted};
use crate::tools::Tools;
use crate::workspace::Workspace;

pub const SUITE: Suite = Suite { name: "failing disk", needs: &[], run };

const ARGUMENTS: [&str; 9] =
    ["test", "--release", "--locked", "--package", "manade-store", "--features", "failpoints", "--test", "failures"];

fn run(workspace: &Workspace, _: &Tools) -> Result<Outcome> {
    // Arrow is compiled anew for it, the first time.
    let finished = process::run(workspace.cargo().args(ARGUMENTS).stdin(Stdio::null()), CARGO)?;
    Ok(counted(finished.success(), finished.output))
}
