//! Finds rows by the value of a column that a result declares in `index`: hashes in memory, made at the first use and
//! brought up to date with each.
//!
//! Places are only added: a row that has another value now is found by its old one too, and left out by the filter that
//! comes after.

use std::collections::{BTreeSet, HashMap};

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::datatypes::DataType;
use manade_store::hash_columns;

/// Rows of an append collection that are found together.
pub const BLOCK: u64 = 8 * 1024;

/// An index is made anew once it has this many places more than twice the rows.
const SLACK: usize = 64 * 1024;

/// Of one collection.
#[derive(Default)]
pub struct Lookups {
    made: Option<Made>,
}

/// Where a value may be: the hash of a group, or the number of a block of rows.
pub type Place = u64;

struct Made {
    /// The commit that it has come to.
    commit: u64,
    /// Append: the next row that is not in it.
    row: u64,
    /// By column: value's hash to places.
    columns: Vec<HashMap<u64, Places>>,
    places: usize,
}

/// Most values have one place.
enum Places {
    One(Place),
    More(BTreeSet<Place>),
}

/// Whether equal values of the type have equal hashes, and others are not equal.
pub fn is_indexable(data_type: &DataType) -> bool {
    !data_type.is_nested() && !data_type.is_floating() && *data_type != DataType::Null
}

impl Lookups {
    /// The commit and row that it has come to; `None` before it is made.
    pub fn reached(&self) -> Option<(u64, u64)> {
        self.made.as_ref().map(|made| (made.commit, made.row))
    }

    /// Begins anew.
    pub fn begin(&mut self, columns: usize) {
        let columns = (0..columns).map(|_| HashMap::new()).collect();
        self.made = Some(Made { commit: 0, row: 0, columns, places: 0 });
    }

    /// It has seen all of a view.
    pub fn reach(&mut self, commit: u64, row: u64) {
        if let Some(made) = &mut self.made {
            made.commit = made.commit.max(commit);
            made.row = made.row.max(row);
        }
    }

    /// Adds rows: the values of each indexed column, and each row's place.
    pub fn add(&mut self, values: &[ArrayRef], places: &[Place]) {
        let Some(made) = &mut self.made else { return };
        for (column, values) in made.columns.iter_mut().zip(values) {
            for (row, hash) in hash_columns(&[ArrayRef::clone(values)], values.len()).into_iter().enumerate() {
                if values.is_valid(row) {
                    made.places += usize::from(insert(column, hash, places[row]));
                }
            }
        }
    }

    /// Places of rows whose indexed column may have the value, which is a batch of one.
    pub fn find(&self, column: usize, value: &ArrayRef) -> Vec<Place> {
        let Some(made) = &self.made else { return Vec::new() };
        let hash = hash_columns(&[ArrayRef::clone(value)], 1)[0];
        match made.columns[column].get(&hash) {
            None => Vec::new(),
            Some(Places::One(place)) => vec![*place],
            Some(Places::More(places)) => places.iter().copied().collect(),
        }
    }

    /// It is mostly about values that rows do not have any more.
    pub fn is_worn(&self, rows: u64) -> bool {
        self.made.as_ref().is_some_and(|made| made.places > made.columns.len() * 2 * rows as usize + SLACK)
    }
}

fn insert(column: &mut HashMap<u64, Places>, hash: u64, place: Place) -> bool {
    match column.get_mut(&hash) {
        None => column.insert(hash, Places::One(place)).is_none(),
        Some(Places::One(one)) if *one == place => false,
        Some(places @ Places::One(_)) => {
            let Places::One(one) = *places else { return false };
            *places = Places::More([one, place].into());
            true
        }
        Some(Places::More(places)) => places.insert(place),
    }
}

/// The places of rows of an append collection, by their ids.
pub fn blocks(ids: &[u64]) -> Vec<Place> {
    ids.iter().map(|id| id / BLOCK).collect()
}

/// Blocks that follow each other are read together: ranges of row ids.
pub fn ranges(blocks: &[Place]) -> Vec<std::ops::Range<u64>> {
    let mut ranges: Vec<std::ops::Range<u64>> = Vec::new();
    for block in blocks {
        let (start, end) = (block * BLOCK, (block + 1) * BLOCK);
        match ranges.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => ranges.push(start..end),
        }
    }
    ranges
}

/// The indexed columns of rows.
pub fn values_of(rows: &RecordBatch, columns: &[usize]) -> Vec<ArrayRef> {
    columns.iter().map(|column| ArrayRef::clone(rows.column(*column))).collect()
}
