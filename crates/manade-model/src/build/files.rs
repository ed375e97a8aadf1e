//! Files of sources and tables: paths and formats.

use std::path::PathBuf;

use crate::finding::Place;
use crate::pipeline::{CsvOptions, FileFormat, FileSource};
use crate::read::{Object, Reading};

const CSV_KEYS: [&str; 3] = ["delimiter", "quote", "header"];

pub(super) fn file_source(reading: &mut Reading<'_>, file: &Object<'_>) -> Option<FileSource> {
    let (path, place, format) = table_file(reading, file)?;
    Some(FileSource { path, place, format, follow: file.flag("follow").unwrap_or(true) })
}

pub(super) fn table_file(reading: &mut Reading<'_>, file: &Object<'_>) -> Option<(PathBuf, Place, Option<FileFormat>)> {
    let format = format(reading, file);
    let path = file.get("path")?;
    let folder = reading.folder();
    let joined = folder.join(file.text("path")?);
    Some((joined, reading.place(path.mark), format))
}

/// `format: csv` with its options beside it, or `format: { csv: { ... } }`; options alone mean csv too.
fn format(reading: &mut Reading<'_>, file: &Object<'_>) -> Option<FileFormat> {
    let beside = CSV_KEYS.into_iter().find_map(|key| Some((key, file.key_mark(key)?)));
    let nested = file.object("format").and_then(|format| format.object("csv"));
    if let Some(options) = nested {
        if let Some((key, mark)) = beside {
            let message = format!("`{key}` stands beside `format: {{ csv: ... }}`");
            reading.error(mark, message, Some("write all options of csv in one of the two places".to_owned()));
        }
        return Some(FileFormat::Csv(csv(reading, options)));
    }
    let other = match file.choice("format") {
        Some("ndjson") => FileFormat::Ndjson,
        Some("json") => FileFormat::Json,
        Some(_) => return Some(FileFormat::Csv(csv(reading, file))),
        // Wrong in itself, and reported.
        None if file.has("format") || !file.is_sound("format") => return None,
        None => return beside.is_some().then(|| FileFormat::Csv(csv(reading, file))),
    };
    if let Some((key, mark)) = beside {
        let format = file.choice("format").unwrap_or_default();
        reading.error(
            mark,
            format!("`{key}` is an option of csv, the format is {format}"),
            Some("leave the key out".to_owned()),
        );
    }
    Some(other)
}

fn csv(reading: &mut Reading<'_>, options: &Object<'_>) -> CsvOptions {
    let csv = CsvOptions {
        delimiter: options.character("delimiter").unwrap_or(b','),
        quote: options.character("quote").unwrap_or(b'"'),
        header: options.flag("header").unwrap_or(true),
    };
    if csv.delimiter == csv.quote
        && let Some(mark) = options.key_mark("delimiter").or_else(|| options.key_mark("quote"))
    {
        reading.error(
            mark,
            "`delimiter` and `quote` are the same character".to_owned(),
            Some("change one of them".to_owned()),
        );
    }
    csv
}
