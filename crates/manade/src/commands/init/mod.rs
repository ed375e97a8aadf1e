//! `manade init`: writes a first pipeline.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::path::{Component, Path, PathBuf};

use manade_model::Name;
use manade_pipeline::plan::Fixed;

use super::report_findings;
use crate::args::Init;
use crate::failure::{Context, Failure, Outcome};
use crate::output::{note, say};
use sample::Sample;

mod sample;
mod template;
#[cfg(test)]
mod tests;

/// Longest name of a pipeline or result.
const LONGEST: usize = 63;

pub fn run(args: &Init) -> Result<Outcome, Failure> {
    let name = pipeline_name(args)?;
    let sample = args.from.as_deref().map(Sample::read).transpose()?;
    if args.dir.is_file() {
        let file = args.dir.display();
        let failure = Failure::misuse(format!("{file} is a file, and a pipeline is written into a folder"));
        return Err(failure.with_hint(format!("to look at its events: manade init --from {file}")));
    }
    fs::create_dir_all(&args.dir).context(format!("cannot make the folder {}", args.dir.display()))?;
    let shown = args.dir.display();
    let text = match (&args.from, &sample) {
        (Some(from), Some(sample)) => template::of_file(&name, &relative(&args.dir, from)?, sample, &shown.to_string()),
        _ => template::of_http(&name, &shown.to_string()),
    };
    let path = if args.dir == Path::new(".") { PathBuf::new() } else { args.dir.clone() }.join(format!("{name}.yaml"));
    let made = OpenOptions::new().write(true).create_new(true).open(&path);
    if made.as_ref().is_err_and(|error| error.kind() == ErrorKind::AlreadyExists) {
        let failure = Failure::new(format!("{} is there already: nothing was written", path.display()));
        return Err(failure.with_hint("choose another name with `--name`, or another folder"));
    }
    let written = made.and_then(|mut file| file.write_all(text.as_bytes()));
    written.context(format!("cannot write {}", path.display()))?;
    for what in sample.iter().flat_map(|sample| &sample.left_out) {
        note(&format!("note: {what}\n"))?;
    }
    let checked = manade_run::check(&args.dir, |_| Fixed::default()).map_err(super::platform_failure)?;
    if checked.has_errors() {
        say(&format!("{} written, but the platform has errors:\n", path.display()))?;
        return report_findings(&checked.findings);
    }
    say(&format!(
        "{} written\n\nnext:\n  manade check {shown}\n  manade up {shown}\n  http://127.0.0.1:8080/docs\n",
        path.display()
    ))?;
    Ok(Outcome::Done)
}

fn pipeline_name(args: &Init) -> Result<Name, Failure> {
    if let Some(name) = &args.name {
        return Name::new(name).ok_or_else(|| {
            let failure = Failure::misuse(format!("`{name}` cannot be a pipeline's name"));
            let fitting = fitting_name(name).map(|name| format!("; `{name}` would do")).unwrap_or_default();
            failure.with_hint(format!("use lower-case letters, digits, `_` and `-`, a letter first{fitting}"))
        });
    }
    let stem = args.from.as_deref().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    let stem = stem.as_deref().map_or("events", |name| name.split('.').find(|part| !part.is_empty()).unwrap_or(name));
    let fitting = fitting_name(stem).unwrap_or_else(|| "events".to_owned());
    Name::new(&fitting)
        .ok_or_else(|| Failure::new(format!("no name can be made of `{stem}`")).with_hint("name it with `--name`"))
}

/// A text as a name, as near as it can be.
fn fitting_name(text: &str) -> Option<String> {
    let mut name = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' | '-' | '_' => name.push(c),
            _ if name.ends_with('_') => {}
            _ => name.push('_'),
        }
    }
    let name = name.trim_start_matches(|c: char| !c.is_ascii_lowercase()).trim_end_matches(['_', '-']);
    let name = &name[..name.len().min(LONGEST)];
    (!name.is_empty()).then(|| name.to_owned())
}

/// The way from a folder to a file; an absolute one where they share nothing but the root.
fn relative(dir: &Path, file: &Path) -> Result<PathBuf, Failure> {
    let dir = dir.canonicalize().context(format!("cannot find {}", dir.display()))?;
    let file = file.canonicalize().context(format!("cannot find {}", file.display()))?;
    let shared = dir.components().zip(file.components()).take_while(|(a, b)| a == b).count();
    if shared <= 1 && dir.components().count() > 1 {
        return Ok(file);
    }
    let up = dir.components().skip(shared).map(|_| Component::ParentDir);
    Ok(up.chain(file.components().skip(shared)).collect())
}
