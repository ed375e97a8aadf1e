//! Files that are generated from the code: the JSON Schema of pipeline files, the OpenAPI document of the flights example,
//! and the list of SQL functions in docs/sql.md.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process;
use crate::report::{self, Outcome};
use crate::workspace::Workspace;

const COMMAND: Duration = Duration::from_mins(1);
const SQL_PAGE: &str = "docs/sql.md";
const BEGIN: &str = "<!-- functions: written by `cargo xtask generate` -->\n";
const END: &str = "<!-- end of functions -->";

/// A file's path from the root, and what it must hold.
type Generated = (&'static str, String);

/// Writes what differs.
pub fn write(workspace: &Workspace) -> Result<()> {
    for (path, content) in all(workspace)? {
        let full = workspace.root.join(path);
        if fs::read_to_string(&full).is_ok_and(|found| found == content) {
            report::say(&format!("{path} is current"));
        } else {
            fs::write(&full, content).with_context(|| format!("write {path}"))?;
            report::say(&format!("{path} written"));
        }
    }
    Ok(())
}

/// Compares only.
pub fn check(workspace: &Workspace) -> Result<Outcome> {
    let mut outcome = Outcome::default();
    for (path, content) in all(workspace)? {
        let found = fs::read_to_string(workspace.root.join(path)).unwrap_or_default();
        match first_difference(&found, &content) {
            None => outcome.passed += 1,
            Some(line) => {
                outcome.failed += 1;
                let _ = writeln!(outcome.output, "{path}:{line} is not current: run cargo xtask generate");
            }
        }
    }
    Ok(outcome)
}

fn all(workspace: &Workspace) -> Result<Vec<Generated>> {
    let page = fs::read_to_string(workspace.root.join(SQL_PAGE)).with_context(|| format!("read {SQL_PAGE}"))?;
    let functions = format!("\n{}\n", manade(workspace, &["functions"])?);
    let page =
        replace_between(&page, BEGIN, END, &functions).with_context(|| format!("find the list in {SQL_PAGE}"))?;
    Ok(vec![
        ("docs/pipeline.schema.json", manade(workspace, &["schema"])?),
        ("examples/flights/openapi.json", manade(workspace, &["openapi", "examples/flights"])?),
        (SQL_PAGE, page),
    ])
}

fn manade(workspace: &Workspace, arguments: &[&str]) -> Result<String> {
    process::output_of(Command::new(workspace.manade()).current_dir(&workspace.root).args(arguments), COMMAND)
}

/// The page with the content between these lines replaced.
pub fn replace_between(page: &str, begin: &str, end: &str, content: &str) -> Result<String> {
    let missing = || format!("it lacks the line {begin}or {end}");
    let start = page.find(begin).with_context(missing)? + begin.len();
    let end = start + page[start..].find(end).with_context(missing)?;
    Ok(format!("{}{content}{}", &page[..start], &page[end..]))
}

/// Counts from 1.
fn first_difference(found: &str, wanted: &str) -> Option<usize> {
    if found == wanted {
        return None;
    }
    let same = found.lines().zip(wanted.lines()).take_while(|(a, b)| a == b).count();
    Some(same + 1)
}

#[cfg(test)]
mod tests;
