//! Folders by the values of columns, as Hive names them: `day=2026-01-31/origin=JFK/`.

use std::collections::BTreeMap;
use std::fmt::Write;

use arrow::array::RecordBatch;
use manade_model::ParquetSink;
use manade_pipeline::collection::CollectionInfo;
use manade_pipeline::values::write_text;

/// What file systems take as a name, bytes.
const LONGEST: usize = 255;
/// Of a value that is null, or an empty text.
const NONE: &str = "__HIVE_DEFAULT_PARTITION__";

/// Rows by their folder.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// A folder ends with a slash; `None` stands for all rows.
    pub parts: Vec<(String, Option<Vec<u32>>)>,
    /// Rows for which there can be no folder.
    pub refused: Vec<usize>,
}

/// The columns that name folders.
pub struct Partition(Vec<(String, usize)>);

impl Partition {
    /// Columns that the result does not have are left out; the plan has refused them.
    pub fn new(target: &ParquetSink, info: &CollectionInfo) -> Self {
        let of = |name: &String| {
            let at = info.columns.iter().position(|column| column.name == *name)?;
            Some((escaped(name.as_bytes()), at))
        };
        Self(target.partition_by.iter().filter_map(|(name, _)| of(name)).collect())
    }

    pub fn has(&self, column: usize) -> bool {
        self.0.iter().any(|(_, known)| *known == column)
    }

    pub fn split(&self, rows: &RecordBatch) -> Split {
        if self.0.is_empty() {
            return Split { parts: vec![(String::new(), None)], refused: Vec::new() };
        }
        let (mut parts, mut refused): (BTreeMap<String, Vec<u32>>, _) = (BTreeMap::new(), Vec::new());
        for row in 0..rows.num_rows() {
            let folder = self.folder(rows, row);
            if folder.split('/').any(|name| name.len() > LONGEST) {
                refused.push(row);
                continue;
            }
            parts.entry(folder).or_default().push(u32::try_from(row).expect("a batch has fewer rows"));
        }
        Split { parts: parts.into_iter().map(|(folder, rows)| (folder, Some(rows))).collect(), refused }
    }

    fn folder(&self, rows: &RecordBatch, row: usize) -> String {
        let mut folder = String::new();
        let mut text = Vec::new();
        for (name, column) in &self.0 {
            text.clear();
            write_text(rows.column(*column).as_ref(), row, &mut text);
            let value = if text.is_empty() { NONE.to_owned() } else { escaped(&text) };
            folder.push_str(name);
            folder.push('=');
            folder.push_str(&value);
            folder.push('/');
        }
        folder
    }
}

/// As Hive does it: `FileUtils.escapePathName`, and `..` cannot come about since `.` stands behind `=`.
fn escaped(text: &[u8]) -> String {
    let mut escaped = String::new();
    for character in String::from_utf8_lossy(text).chars() {
        if character.is_ascii_control() || "\"#%'*/:=?\\{[]^".contains(character) {
            let _ = write!(escaped, "%{:02X}", character as u32);
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_folders() {
        for (text, expect) in [
            ("2026-01-31", "2026-01-31"),
            ("a/b=c:d%", "a%2Fb%3Dc%3Ad%25"),
            ("é \n", "é %0A"),
            ("..", ".."),
            ("a\u{7f}", "a%7F"),
        ] {
            assert_eq!(escaped(text.as_bytes()), expect);
        }
    }
}
