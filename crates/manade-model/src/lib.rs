//! Platform files: from YAML text to validated types, findings and JSON Schema.
//!
//! Two stages. [`parse`] reads every document as marked YAML (`yaml`), decides which are Manade's (`document`), holds
//! them against the shapes that `shape` declares as data (`read`; [`json_schema`] prints the same shapes), and then
//! builds the types of [`pipeline`] (`build`), which cannot hold a wrong value. Every problem of every file is reported
//! at once, as [`Finding`]s with file, line and column.
//!
//! Pure: text in, values out. Reading files and folders is the caller's part.

pub mod finding;
pub mod pipeline;
pub mod types;
pub mod units;

mod build;
mod closest;
mod ddl;
mod document;
mod json_schema;
mod read;
mod shape;
mod yaml;

use std::path::PathBuf;

pub use closest::closest;
pub use ddl::{TypeError, parse_fields, parse_type};
pub use finding::{Finding, Place, Severity};
pub use json_schema::json_schema;
pub use pipeline::{
    CsvOptions, Draft, Emit, EventSchema, Events, FileFormat, FileSource, HttpSource, Late, Name, Pipeline,
    PipelineTest, Platform, ResultSpec, Retain, RowColumn, Sink, Source, Sql, Start, Table, Unread,
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
    let mut findings = Vec::new();
    let mut built = Vec::new();
    for file in files {
        let mut reading = read::Reading::new(&file.path, &file.text);
        let (documents, errors) = yaml::read(&file.text);
        for document in &documents {
            let before = reading.errors();
            let Some(object) = document::read(&mut reading, &document.root) else { continue };
            for problem in &document.problems {
                reading.error(problem.mark, problem.message.clone(), problem.hint.clone());
            }
            built.push(build::pipeline(&mut reading, &object, before));
        }
        for error in errors {
            reading.error(error.mark, error.message, error.hint);
        }
        findings.append(&mut reading.findings);
    }
    findings.extend(build::clashes(&mut built));
    findings.sort_by(|a, b| a.place.cmp(&b.place));

    let mut parsed = Parsed { findings, ..Parsed::default() };
    for part in built {
        match part.draft {
            Some(draft) if part.is_sound => parsed.platform.pipelines.push(draft.pipeline),
            draft => parsed.drafts.extend(draft),
        }
    }
    parsed
}

#[cfg(test)]
mod tests;
