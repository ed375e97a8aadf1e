//! `cargo xtask fuzz`: libFuzzer over what comes from outside.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::report::say;
use crate::tools::Tools;
use crate::workspace::Workspace;

pub const TARGETS: [&str; 3] = ["events", "platform", "query"];

/// One target for so many seconds. What it learns is kept in the cache for the next time.
pub fn run(workspace: &Workspace, target: &str, seconds: u64) -> Result<()> {
    if !TARGETS.contains(&target) {
        bail!("nothing is fuzzed as {target}; there are: {}", TARGETS.join(", "));
    }
    let fuzz = workspace.root.join("crates/manade-fuzz");
    let mut build = workspace.cargo();
    build.args(["build", "--release", "--locked", "--package", "manade-fuzz", "--features", "libfuzzer", "--bins"]);
    ensure!(build.env("RUSTC_WORKSPACE_WRAPPER", fuzz.join("rustc.sh")).status()?.success(), "it does not build");
    let corpus = Tools::new(false)?.cache("fuzz").join(target);
    fs::create_dir_all(&corpus).with_context(|| format!("create {}", corpus.display()))?;
    let found = workspace.scratch(&format!("fuzz-{target}"))?;
    let program = workspace.target.join("release").join(format!("fuzz-{target}"));
    let mut command = Command::new(program);
    command.arg(&corpus).arg(fuzz.join("seeds").join(target)).current_dir(&found);
    command.args([format!("-max_total_time={seconds}"), format!("-artifact_prefix={}/", found.display())]);
    command.args(["-max_len=8192", "-timeout=10", "-rss_limit_mb=4096", "-print_final_stats=1", "-verbosity=0"]);
    if !command.status()?.success() {
        bail!("what broke it is in {}; add it to {}", found.display(), fuzz.join("seeds").join(target).display());
    }
    say(&format!("{target}: nothing found in {seconds} s"));
    Ok(())
}
