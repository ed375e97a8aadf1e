use std::path::Path;

use manade_model::{FileFormat, FileSource, Place};

use super::target::file_of;

#[test]
fn a_source_of_files_gets_one_that_it_reads() {
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    std::fs::create_dir(root.join("in")).expect("made");
    let check = |path: &str, format: Option<FileFormat>, expect: Result<&str, &str>| {
        let place = Place { file: "p.yaml".into(), line: 1, column: 1 };
        let source = FileSource { path: root.join(path), place, format, follow: true };
        let found = file_of(&source, 0xabc).map_err(|failure| failure.to_string());
        match expect {
            Ok(expect) => assert_eq!(found.as_deref(), Ok(root.join(expect).as_path()), "{path}"),
            Err(part) => assert!(found.as_ref().is_err_and(|error| error.contains(part)), "{path}: {found:?}"),
        }
    };
    let csv = manade_pipeline::format_by_name(Path::new("a.csv"));
    check("events.ndjson", None, Ok("events.ndjson"));
    check("in", None, Ok("in/generated-abc.ndjson"));
    check("in", Some(csv), Ok("in/generated-abc.csv"));
    check("in/*.ndjson", None, Ok("in/generated-abc.ndjson"));
    check("new/click-*.csv", None, Ok("new/click-generated-abc.csv"));
    check("in/*/*.ndjson", None, Err("cannot be added"));
    check("in/day-[0-9].ndjson", None, Err("cannot be added"));
    check("in/*.ndjson.gz", None, Err("cannot be added"));
    check("events.ndjson.zst", None, Err("cannot be added"));
}
