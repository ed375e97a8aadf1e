//! Platform files: from YAML text to validated types, findings and JSON Schema.
//!
//! Two stages. [`parse`] reads every document as marked YAML (`yaml`), decides which are Manade's (`document`), holds
//! them against the shapes that `shape` declares as data (`read`; [`json_schema`] prints the same shapes), and then
//! builds the types of [`pipeline`] (`build`), which cannot hold a wrong value. Every problem of every file is reported
//! at once, as [`Finding`]s with file, line and column.
//!
//! Pure: text in, values out. Reading files and folders is the caller's part.

pub mod connection;
pub mod finding;
pub mod pipeline;
pub mod types;
pub mod units;
pub mod url;

mod build;
mod closest;
mod ddl;
mod document;
mod json_schema;
mod read;
mod shape;
mod yaml;

use std::path::PathBuf;

use build::Connections;
pub use closest::closest;
pub use connection::{Connection, MongoDb, RabbitMq, Secret, Target, Tls};
pub use ddl::{TypeError, parse_fields, parse_type};
pub use finding::{Finding, Place, Severity};
pub use json_schema::json_schema;
pub use pipeline::{
    CsvOptions, Draft, Emit, EventSchema, Events, FileFormat, FileSource, HttpSource, Late, MessageId, MongoDbSink,
    Name, OutsideSink, OutsideTarget, ParquetSink, Pipeline, PipelineTest, Platform, QueueType, RabbitMqSink,
    RabbitMqSource, Remember, ResultSpec, Retain, RowColumn, Sink, Source, Sql, Start, StreamStart, Table, Unread,
};
pub use types::{Field, SparkType, TimeFormat};

/// A file of the platform's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlatformFile {
    /// As shown to the user; paths in the file are relative to its folder.
    pub path: PathBuf,
    pub text: String,
}

/// What a platform's files say.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Parsed {
    /// The pipelines without errors.
    pub platform: Platform,
    /// Pipelines with errors.
    pub drafts: Vec<Draft>,
    /// Errors and notes of all files, by file, line and column.
    pub findings: Vec<Finding>,
}

/// Reads all files of a platform; never fails as a whole.
pub fn parse(files: &[PlatformFile]) -> Parsed {
    let texts: Vec<_> = files.iter().map(|file| (file, yaml::read(&file.text))).collect();
    let mut findings = Vec::new();
    // Pipelines name connections, of whatever file.
    let mut connections = Connections::default();
    let mut built = Vec::new();
    for pass in [Pass::Connections, Pass::Others] {
        for (file, (documents, errors)) in &texts {
            let mut reading = read::Reading::new(&file.path, &file.text);
            for document in documents.iter().filter(|document| Pass::of(document) == pass) {
                let before = reading.errors();
                let Some(object) = document::read(&mut reading, &document.root) else { continue };
                for problem in &document.problems {
                    reading.error(problem.mark, problem.message.clone(), problem.hint.clone());
                }
                match pass {
                    Pass::Connections => connections.add(&mut reading, &object, before),
                    Pass::Others => built.push(build::pipeline(&mut reading, &object, &connections, before)),
                }
            }
            for error in errors.iter().filter(|_| pass == Pass::Others) {
                reading.error(error.mark, error.message.clone(), error.hint.clone());
            }
            findings.append(&mut reading.findings);
        }
    }
    findings.extend(build::clashes(&mut built));
    findings.sort_by(|a, b| a.place.cmp(&b.place));

    let platform = Platform { connections: connections.sound(), pipelines: Vec::new() };
    let mut parsed = Parsed { platform, findings, ..Parsed::default() };
    for part in built {
        match part.draft {
            Some(draft) if part.is_sound => parsed.platform.pipelines.push(draft.pipeline),
            draft => parsed.drafts.extend(draft),
        }
    }
    parsed
}

/// Which documents are read: one that a second names must be there before it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Pass {
    Connections,
    Others,
}

impl Pass {
    fn of(document: &yaml::Document) -> Self {
        let is_connection = document::shape(&document.root).is_some_and(|shape| shape.name == shape::CONNECTION.name);
        if is_connection { Self::Connections } else { Self::Others }
    }
}

#[cfg(test)]
mod tests;
