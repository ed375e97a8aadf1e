use super::*;

#[test]
fn a_folder_is_made_and_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("deep/data");
    for _ in 0..2 {
        let folder = DataFolder::open(&path).unwrap();
        std::fs::create_dir_all(folder.pipeline("flights")).unwrap();
        assert_eq!(folder.pipelines().unwrap(), ["flights"]);
    }
    let folder = DataFolder::open_read_only(&path).unwrap();
    folder.remove_pipeline("flights").unwrap();
    folder.remove_pipeline("flights").unwrap();
    assert!(folder.pipelines().unwrap().is_empty());
}

#[test]
fn a_folder_of_the_first_format_is_brought_up_to_date() {
    let dir = tempfile::tempdir().unwrap();
    drop(DataFolder::open(dir.path()).unwrap());
    let format = dir.path().join(FORMAT_FILE);
    std::fs::write(&format, r#"{"format": 1, "program": "0.1.0"}"#).unwrap();
    drop(DataFolder::open_read_only(dir.path()).unwrap());
    assert_eq!(read_format(dir.path()).unwrap().unwrap().format, 1, "reading leaves it as it is");
    drop(DataFolder::open(dir.path()).unwrap());
    assert_eq!(read_format(dir.path()).unwrap().unwrap().format, FORMAT);
}

#[test]
fn only_one_opens_it() {
    let dir = tempfile::tempdir().unwrap();
    let folder = DataFolder::open(dir.path()).unwrap();
    for opened in [DataFolder::open(dir.path()), DataFolder::open_read_only(dir.path())] {
        let error = opened.unwrap_err();
        assert!(matches!(error, OpenError::Locked { pid: Some(pid), .. } if pid == std::process::id()), "{error}");
    }
    drop(folder);
    DataFolder::open(dir.path()).unwrap();
}

#[test]
fn other_folders_are_refused() {
    type Prepare = fn(&Path);
    type Expected = fn(&OpenError) -> bool;
    let cases: [(&str, Prepare, Expected); 5] = [
        ("a file", |path| std::fs::write(path, "x").unwrap(), |error| matches!(error, OpenError::NotAFolder { .. })),
        (
            "a foreign folder",
            |path| {
                std::fs::create_dir(path).unwrap();
                std::fs::write(path.join("letter.txt"), "x").unwrap();
            },
            |error| matches!(error, OpenError::Foreign { .. }),
        ),
        (
            "a newer format",
            |path| {
                std::fs::create_dir(path).unwrap();
                std::fs::write(path.join(FORMAT_FILE), r#"{"format": 3, "program": "9.0.0"}"#).unwrap();
            },
            |error| matches!(error, OpenError::Newer { found: 3, known: 2, program, .. } if program == "9.0.0"),
        ),
        (
            "a damaged format",
            |path| {
                std::fs::create_dir(path).unwrap();
                std::fs::write(path.join(FORMAT_FILE), r#"{"format": "#).unwrap();
            },
            |error| matches!(error, OpenError::Format { .. }),
        ),
        (
            "below a file",
            |path| std::fs::write(path.parent().unwrap().join("file"), "x").unwrap(),
            |error| matches!(error, OpenError::NotAFolder { .. }),
        ),
    ];
    for (name, prepare, expected) in cases {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data");
        prepare(&path);
        let path = if name == "below a file" { dir.path().join("file/data") } else { path };
        let error = DataFolder::open(&path).unwrap_err();
        assert!(expected(&error), "{name}: {error:?}");
    }
}

#[test]
fn reading_needs_a_data_folder() {
    let dir = tempfile::tempdir().unwrap();
    let error = DataFolder::open_read_only(&dir.path().join("none")).unwrap_err();
    assert!(matches!(error, OpenError::Missing { .. }), "{error}");
    let error = DataFolder::open_read_only(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is written");
}
