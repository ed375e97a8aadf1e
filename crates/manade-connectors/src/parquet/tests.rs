use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, StringViewArray};
use arrow::datatypes::{DataType, Int64Type};
use manade_model::{ParquetSink, Place};
use manade_pipeline::collection::{CollectionInfo, CollectionKind, KEY_COLUMN, OutputColumn};
use manade_pipeline::outbox::{Portion, PortionKind};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tempfile::TempDir;

use super::{Files, Finished, OWN};

/// Files of rows with the columns `id`, and `day`, by which they are partitioned.
fn files(folder: &Path) -> Files {
    let column = |name: &str, data_type| OutputColumn { name: name.to_owned(), data_type };
    let info = CollectionInfo {
        name: "r".to_owned(),
        pipeline: "p".to_owned(),
        description: None,
        columns: vec![column("id", DataType::Int64), column("day", DataType::Utf8View)],
        kind: CollectionKind::Append,
        key: Vec::new(),
        index: Vec::new(),
    };
    let place = Place { file: "p.yaml".into(), line: 1, column: 1 };
    let target = ParquetSink {
        folder: folder.to_owned(),
        written: "lake".to_owned(),
        partition_by: vec![("day".to_owned(), place)],
        every: Duration::ZERO,
        size: 1 << 20,
    };
    Files::new(target, &info, 7, false)
}

/// Rows with these numbers, which are their ids too. Every third has no day.
fn rows(first: i64, end: i64) -> Portion {
    let numbers: Vec<[u8; 8]> = (first..end).map(i64::to_be_bytes).collect();
    let columns: [(&str, ArrayRef); 3] = [
        ("id", Arc::new(Int64Array::from_iter_values(first..end))),
        (
            "day",
            Arc::new(
                (first..end)
                    .map(|id| (id % 3 > 0).then(|| format!("2026-01-0{}", id % 3)))
                    .collect::<StringViewArray>(),
            ),
        ),
        (KEY_COLUMN, Arc::new(BinaryArray::from_iter_values(numbers))),
    ];
    Portion { kind: PortionKind::Append, rows: RecordBatch::try_from_iter(columns).unwrap(), revision: 0 }
}

fn add(files: &mut Files, first: i64, end: i64) -> Option<Finished> {
    let (finished, refused) = files.add(&rows(first, end)).unwrap();
    assert!(refused.is_empty());
    finished
}

fn paths(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true if !path.ends_with(OWN) => found.extend(paths(&path)),
            true => {}
            false => found.push(path),
        }
    }
    found.sort();
    found
}

/// Of all files, sorted. That each is in the folder of its day is looked at.
fn ids(folder: &Path) -> Vec<i64> {
    let mut ids = Vec::new();
    for path in paths(folder) {
        let day = path.parent().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        for batch in ParquetRecordBatchReaderBuilder::try_new(File::open(&path).unwrap()).unwrap().build().unwrap() {
            let batch = batch.unwrap();
            assert_eq!(batch.num_columns(), 1);
            for id in batch.column(0).as_primitive::<Int64Type>().values() {
                let expect =
                    if id % 3 > 0 { format!("2026-01-0{}", id % 3) } else { "__HIVE_DEFAULT_PARTITION__".to_owned() };
                assert_eq!(day, format!("day={expect}"));
                ids.push(*id);
            }
        }
    }
    ids.sort_unstable();
    ids
}

fn numbers(first: i64, end: i64) -> Vec<i64> {
    (first..end).collect()
}

#[test]
fn a_range_is_there_once_however_often_it_is_written() {
    let folder = TempDir::new().unwrap();
    let mut first = files(folder.path());
    assert_eq!(first.finish_if_due().unwrap(), None, "nothing is gathered");
    assert_eq!(add(&mut first, 0, 10), None);
    assert!(paths(folder.path()).is_empty(), "files are there when they are complete");
    assert_eq!(first.finish_if_due().unwrap(), Some(Finished { end: 10, rows: 10 }));
    let before = paths(folder.path());
    assert_eq!((before.len(), ids(folder.path())), (3, numbers(0, 10)));

    // What was not told as written comes again after a crash, with rows that are new: first the range that was begun.
    let mut second = files(folder.path());
    assert_eq!(add(&mut second, 0, 14), Some(Finished { end: 10, rows: 10 }));
    assert_eq!(paths(folder.path()), before);
    assert_eq!(second.finish_if_due().unwrap(), Some(Finished { end: 14, rows: 4 }));
    assert_eq!(ids(folder.path()), numbers(0, 14));

    // A sink that begins from the start again finds its rows there.
    let mut third = files(folder.path());
    assert_eq!(add(&mut third, 0, 6), None);
    assert_eq!(add(&mut third, 6, 12), None);
    // Its time has come before the range that was begun is whole: what the files have too much is taken out of them.
    assert_eq!(third.finish_if_due().unwrap(), Some(Finished { end: 12, rows: 2 }));
    assert_eq!(ids(folder.path()), numbers(0, 12));
    assert_eq!(add(&mut third, 12, 20), None);
    third.finish_if_due().unwrap().unwrap();
    assert_eq!(ids(folder.path()), numbers(0, 20));
}

#[test]
fn a_crash_at_any_step_is_mended() {
    let folder = TempDir::new().unwrap();
    let mut first = files(folder.path());
    add(&mut first, 0, 10);
    first.finish_if_due().unwrap();
    let own = folder.path().join(OWN);
    // Before the names: a temporary file, a note, and files that are missing.
    std::fs::write(own.join("r-0000000000000007-0.tmp"), "half").unwrap();
    std::fs::remove_file(&paths(folder.path())[1]).unwrap();
    let mut second = files(folder.path());
    assert_eq!(add(&mut second, 0, 10), Some(Finished { end: 10, rows: 10 }));
    assert_eq!(ids(folder.path()), numbers(0, 10));
    let left: Vec<_> = own.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["r-0000000000000007.json"]);
    // A note that is none is not passed over.
    std::fs::write(own.join("r-0000000000000007.json"), "{").unwrap();
    let error = files(folder.path()).add(&rows(10, 12)).unwrap_err();
    assert!(error.reason.contains("is no note of Manade's"), "{error}");
    assert_eq!(ids(folder.path()), numbers(0, 10));
}

#[test]
fn a_folder_that_cannot_be_named_is_refused() {
    let folder = TempDir::new().unwrap();
    let mut files = files(folder.path());
    let mut portion = rows(0, 3);
    let mut columns = portion.rows.columns().to_vec();
    columns[1] = Arc::new(StringViewArray::from(vec![Some("a".repeat(300)), Some("../b".to_owned()), None]));
    portion.rows = RecordBatch::try_new(portion.rows.schema(), columns).unwrap();
    let (_, refused) = files.add(&portion).unwrap();
    assert_eq!(refused.iter().map(|refused| refused.row).collect::<Vec<_>>(), [0]);
    assert_eq!(files.finish_if_due().unwrap(), Some(Finished { end: 3, rows: 2 }));
    let names: Vec<_> =
        paths(folder.path()).iter().map(|path| path.parent().unwrap().file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["day=..%2Fb", "day=__HIVE_DEFAULT_PARTITION__"]);
}
