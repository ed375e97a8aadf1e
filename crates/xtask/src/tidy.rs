//! Rules of this code base that no other tool checks.
//!
//! - [`layers`]: which crate may depend on which, as a table
//! - [`source`]: how long files and functions may be, forbidden names and constructs in Rust
//! - [`words`]: forbidden words in any file

mod layers;
mod rust;
mod source;
mod words;

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process;
use crate::report::Outcome;
use crate::workspace::Workspace;

/// A file of the repository, by its path from the root.
#[derive(Debug, Clone)]
pub struct SourceFile {
    pub path: String,
    pub text: String,
}

impl SourceFile {
    fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "rs")
    }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub path: String,
    /// Counts from 1.
    pub line: usize,
    pub message: String,
}

pub fn step(workspace: &Workspace) -> Result<Outcome> {
    let files = files(workspace)?;
    let mut problems = layers::check(&layers::manifests(&workspace.metadata)?);
    problems.extend(check(&files));
    problems.sort();
    let output = problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n");
    Ok(Outcome::one(problems.is_empty(), output))
}

/// All rules that look at files only.
fn check(files: &[SourceFile]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for file in files {
        problems.extend(words::check(file));
        if file.is_rust() {
            problems.extend(source::check(file));
        }
        if file.path.ends_with("/Cargo.toml") {
            problems.extend(source::check_manifest(file));
        }
    }
    problems.extend(source::check_test_programs(files));
    problems
}

/// Text files that are tracked, or new and not ignored.
fn files(workspace: &Workspace) -> Result<Vec<SourceFile>> {
    let mut git = Command::new("git");
    git.current_dir(&workspace.root).args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
    let listed = process::output_of(&mut git, Duration::from_mins(1))?;
    let mut files = Vec::new();
    for path in listed.split('\0').filter(|path| !path.is_empty()) {
        let full = workspace.root.join(path);
        // Listed, but deleted or a link to nowhere.
        if !full.is_file() {
            continue;
        }
        let bytes = fs::read(&full).with_context(|| format!("read {path}"))?;
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(SourceFile { path: path.to_owned(), text });
        }
    }
    Ok(files)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

#[cfg(test)]
mod tests;
