//! Where events are sent: into the pipeline's own source.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use manade_model::{FileFormat, FileSource, Source};
use manade_pipeline::plan::Plan;
use manade_run::{Connectors, Publisher};

use super::events::Events;
use crate::client::Client;
use crate::failure::{Context, Failure};
use crate::output::note;

/// What makes a path a pattern.
const WILD: [char; 4] = ['*', '?', '[', '{'];

pub enum Target<'a> {
    File { file: File, path: PathBuf },
    Http { client: &'a Client, pipeline: String },
    Broker(Box<Publisher<'a>>),
}

impl<'a> Target<'a> {
    pub fn open(
        plan: &Plan,
        client: Option<&'a Client>,
        connectors: &'a Connectors,
        events: &Events,
    ) -> Result<Self, Failure> {
        let pipeline = plan.pipeline.name.to_string();
        match &plan.pipeline.source {
            Source::File(source) => Self::file(source, events, &pipeline),
            Source::Http(_) => {
                let client = client.ok_or_else(|| {
                    Failure::new(format!("`{pipeline}` takes events over HTTP, and no `manade up` runs"))
                        .with_hint("start it with `manade up`, or name where it runs with `--url` or `--data`")
                })?;
                Ok(Self::Http { client, pipeline })
            }
            outside @ Source::RabbitMq(_) => {
                match connectors.publisher(outside, format!("generated-{:x}", events.seed)) {
                    Some(Ok(publisher)) => Ok(Self::Broker(Box::new(publisher))),
                    Some(Err(error)) => Err(failed(error)),
                    None => Err(Failure::new(format!("nothing can be sent to the source of `{pipeline}`"))),
                }
            }
        }
    }

    /// Whole lines; `false`: the pipeline is behind and has taken none of them.
    pub fn send(&mut self, lines: &str) -> Result<bool, Failure> {
        match self {
            Self::File { file, path } => {
                file.write_all(lines.as_bytes()).context(format!("cannot write {}", path.display()))?;
                Ok(true)
            }
            Self::Http { client, pipeline } => client.ingest(pipeline, lines),
            Self::Broker(publisher) => publisher.publish(lines).map(|()| true).map_err(failed),
        }
    }

    pub fn close(self) -> Result<(), Failure> {
        match self {
            Self::File { file, path } => file.sync_data().context(format!("cannot write {}", path.display())),
            Self::Http { .. } => Ok(()),
            Self::Broker(publisher) => {
                publisher.close();
                Ok(())
            }
        }
    }

    fn file(source: &FileSource, events: &Events, pipeline: &str) -> Result<Self, Failure> {
        let path = file_of(source, events.seed)?;
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).context(format!("cannot make the folder {}", folder.display()))?;
        }
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let mut file = file.context(format!("cannot write {}", path.display()))?;
        if let Some(header) = events.header().filter(|_| file.metadata().is_ok_and(|meta| meta.len() == 0)) {
            file.write_all(header.as_bytes()).context(format!("cannot write {}", path.display()))?;
        }
        let read = if source.follow { "" } else { &format!("; {pipeline} reads it when it starts") };
        note(&format!("into {}{read}\n", path.display()))?;
        Ok(Self::File { file, path })
    }
}

/// The file that the source names, or a new one where it names a folder or a pattern.
pub fn file_of(source: &FileSource, seed: u64) -> Result<PathBuf, Failure> {
    let path = &source.path;
    let extension = match &source.format {
        Some(FileFormat::Csv(_)) => "csv",
        None if manade_pipeline::format_by_name(path) != FileFormat::Ndjson => "csv",
        _ => "ndjson",
    };
    let name = format!("generated-{seed:x}");
    if path.is_dir() {
        return Ok(path.join(format!("{name}.{extension}")));
    }
    let text = path.to_string_lossy();
    if !text.contains(WILD) || path.exists() {
        return if is_packed(path) { Err(cannot(path)) } else { Ok(path.clone()) };
    }
    let last = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = path.parent().filter(|folder| !folder.to_string_lossy().contains(WILD)).ok_or_else(|| cannot(path))?;
    // One star can be any name.
    let named = last.replacen('*', &name, 1);
    if named.contains(WILD) || is_packed(Path::new(&named)) {
        return Err(cannot(path));
    }
    Ok(folder.join(named))
}

/// Nothing can be added to such a file.
fn is_packed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz" || extension == "zst")
}

fn cannot(path: &Path) -> Failure {
    Failure::misuse(format!("events cannot be added to {}", path.display()))
        .with_hint("let the source read a file, a folder, or a pattern like events/*.ndjson")
}

fn failed(error: manade_run::ConnectError) -> Failure {
    match error.hint.clone() {
        Some(hint) => Failure::from(error).with_hint(hint),
        None => Failure::from(error),
    }
}
