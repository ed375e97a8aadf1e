//! Reading a platform's folder and compiling what is in it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;

use manade_connectors::{ConnectError, Connectors, check_secret};
use manade_model::{Finding, Name, Parsed, Pipeline, Place, Platform, PlatformFile, Secret, Severity, Source};
use manade_pipeline::describe;
use manade_pipeline::plan::{Fixed, Plan, judge, plan};

/// A platform that was read and compiled as far as it goes.
pub struct Checked {
    pub platform: Platform,
    /// Of the pipelines without errors.
    pub plans: Vec<Plan>,
    /// Sorted by place.
    pub findings: Vec<Finding>,
}

#[derive(Debug, thiserror::Error)]
pub enum PlatformError {
    #[error("there is no file or folder at {path}")]
    Missing { path: PathBuf },
    #[error("there is no YAML file in {path}")]
    Empty { path: PathBuf },
    #[error("nothing of kind Pipeline is in {path}")]
    NoPipeline { path: PathBuf },
    #[error("cannot read {path}")]
    Io { path: PathBuf, source: io::Error },
}

/// A platform's YAML files with their text, sorted by path, and what is wrong with those that are no text.
fn read_platform(path: &Path) -> Result<(Vec<PlatformFile>, Vec<Finding>), PlatformError> {
    let found = files(path)?;
    if found.is_empty() {
        return Err(PlatformError::Empty { path: path.to_owned() });
    }
    let (mut texts, mut findings) = (Vec::new(), Vec::new());
    for path in found {
        let bytes = fs::read(&path).map_err(|e| failed(&path, e))?;
        match String::from_utf8(bytes) {
            Ok(text) => texts.push(PlatformFile { path, text }),
            Err(error) => findings.push(no_text(path, &error)),
        }
    }
    Ok((texts, findings))
}

/// The YAML files of a folder (recursively, hidden folders left out), or the one file.
pub fn files(path: &Path) -> Result<Vec<PathBuf>, PlatformError> {
    let meta = fs::metadata(path).map_err(|e| failed(path, e))?;
    let mut found = Vec::new();
    if meta.is_dir() {
        walk(path, &mut found)?;
        found.sort();
    } else {
        found.push(path.to_owned());
    }
    Ok(found)
}

/// Reads, parses and compiles. `fixed` gives what was inferred for a pipeline at its first run.
pub fn check(path: &Path, fixed: impl Fn(&Name) -> Fixed) -> Result<Checked, PlatformError> {
    let (files, mut findings) = read_platform(path)?;
    let Parsed { platform, drafts, findings: more } = manade_model::parse(&files);
    findings.extend(more);
    findings.extend(missing_secrets(&platform));
    let mut plans = Vec::new();
    for draft in &drafts {
        let name = &draft.pipeline.name;
        let fixed = if name.is_stand_in() { Fixed::default() } else { fixed(name) };
        findings.extend(judge(draft, &fixed));
    }
    for pipeline in &platform.pipelines {
        let infers = pipeline.events.schema.is_none() || pipeline.tables.iter().any(|table| table.schema.is_none());
        let fixed = if infers { fixed(&pipeline.name) } else { Fixed::default() };
        let (made, more) = plan(pipeline, &fixed);
        plans.extend(made);
        findings.extend(more);
    }
    findings.sort_by(|a, b| (&a.place, a.severity).cmp(&(&b.place, b.severity)));
    findings.dedup();
    Ok(Checked { platform, plans, findings })
}

/// Reaches every connection and what pipelines read from them and write to them: what is wrong, and the connections that were reached. Takes
/// seconds at most for each.
pub fn connect(checked: &Checked) -> io::Result<(Vec<Finding>, Vec<String>)> {
    let connectors = Connectors::new()?;
    let (mut findings, mut reached) = (Vec::new(), Vec::new());
    let finding = |error: ConnectError, place: &Place| Finding {
        hint: error.hint,
        ..Finding::error(place.clone(), error.reason)
    };
    for connection in &checked.platform.connections {
        match connectors.check(&connection.target) {
            Ok(()) => reached.push(connection.name.to_string()),
            Err(error) => findings.push(finding(error, &connection.place)),
        }
    }
    // What a connection that cannot be reached holds is not known.
    if findings.is_empty() {
        for plan in &checked.plans {
            if let (Err(error), Source::RabbitMq(queue)) =
                (connectors.check_source(&plan.pipeline.source), &plan.pipeline.source)
            {
                findings.push(finding(error, &queue.place));
            }
            for sink in plan.results.iter().flat_map(|result| &result.spec.outside) {
                if let Err(error) = connectors.check_sink(sink) {
                    findings.push(finding(error, &sink.place));
                }
            }
        }
    }
    Ok((findings, reached))
}

fn missing_secrets(platform: &Platform) -> Vec<Finding> {
    let secrets = platform.connections.iter().flat_map(|connection| &connection.secrets);
    let missing = |(secret, place): &(Secret, Place)| {
        let error = check_secret(secret).err()?;
        let hint = match secret {
            Secret::Env(name) => format!("set it where manade runs: `export {name}=...`"),
            Secret::File(_) => "put the file there, readable for manade".to_owned(),
        };
        Some(Finding::error(place.clone(), describe(&error)).with_hint(hint))
    };
    secrets.filter_map(missing).collect()
}

impl Checked {
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    /// Refuses what was read from `path` where there is nothing in it to run.
    pub fn require_pipeline(&self, path: &Path) -> Result<(), PlatformError> {
        if self.plans.is_empty() && !self.has_errors() {
            return Err(PlatformError::NoPipeline { path: path.to_owned() });
        }
        Ok(())
    }

    /// The pipeline of a name, where it was parsed.
    pub fn pipeline(&self, name: &str) -> Option<&Pipeline> {
        self.platform.pipelines.iter().find(|pipeline| pipeline.name.as_str() == name)
    }
}

/// At the first byte that is not UTF-8.
fn no_text(file: PathBuf, error: &FromUtf8Error) -> Finding {
    let before = String::from_utf8_lossy(&error.as_bytes()[..error.utf8_error().valid_up_to()]).into_owned();
    let before = before.strip_prefix('\u{feff}').unwrap_or(&before);
    let lines: Vec<&str> = before.split('\n').collect();
    let column = lines.last().map_or(0, |line| line.chars().count()) + 1;
    let place = Place { file, line: lines.len(), column };
    Finding::error(place, "the file is not UTF-8 from here on").with_hint("save it as UTF-8")
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), PlatformError> {
    for entry in fs::read_dir(folder).map_err(|e| failed(folder, e))? {
        let entry = entry.map_err(|e| failed(folder, e))?;
        let name = entry.file_name();
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let path = entry.path();
        let kind = entry.file_type().map_err(|e| failed(&path, e))?;
        let is_yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
        if kind.is_dir() {
            walk(&path, found)?;
        } else if is_yaml && path.is_file() {
            found.push(path);
        }
    }
    Ok(())
}

fn failed(path: &Path, source: io::Error) -> PlatformError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => PlatformError::Missing { path },
        _ => PlatformError::Io { path, source },
    }
}
