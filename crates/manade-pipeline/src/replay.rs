//! Dead letters as a source: chunks of the kept bytes, to be decoded and run once more.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::buffer::Buffer;
use manade_events::Chunk;
use manade_sql::Input;

use crate::dead_letters::Stored;
use crate::plan::Plan;
use crate::progress::Progress;
use crate::reading::{Replay, Takers};
use crate::source::{Mark, Origin, SourceChunk};

/// Letters that are tried at once, and their bytes.
const LETTERS: usize = 10_000;
const BYTES: u64 = 16 * 1024 * 1024;

/// Letters that wait to be tried, by id, with their bytes.
pub type Waiting = VecDeque<(u64, u64)>;

/// Those that can be tried: not the ones of a result that is gone, nor those of which only the beginning was kept, nor
/// those that some windows of their result took.
pub fn waiting(plan: &Plan, progress: &Progress, letters: &[Stored]) -> Waiting {
    let whole = |stored: &&Stored| stored.letter.raw.len() as u64 == stored.letter.length;
    let whole = letters.iter().filter(|stored| whole(stored) && !stored.source.taken);
    let taken = whole.filter(|stored| takers(plan, progress, stored).is_some());
    taken.map(|stored| (stored.letter.id, stored.letter.length)).collect()
}

/// Takes as many as are tried at once.
pub fn next(waiting: &mut Waiting) -> Vec<u64> {
    let (mut ids, mut bytes) = (Vec::new(), 0);
    while ids.len() < LETTERS
        && let Some((id, length)) = waiting.front().copied()
        && (ids.is_empty() || bytes + length <= BYTES)
    {
        waiting.pop_front();
        ids.push(id);
        bytes += length;
    }
    ids
}

/// Cuts dead letters, in order, into chunks of those that are decoded alike and go to the same results.
pub fn chunks(plan: &Plan, progress: &Progress, letters: Vec<Stored>) -> Vec<Replay> {
    let mut replays = Vec::new();
    let mut run: Vec<Stored> = Vec::new();
    let mut of_run = None;
    for stored in letters {
        let takers = takers(plan, progress, &stored);
        let alike = run.first().is_none_or(|first| {
            of_run == takers
                && first.source.format == stored.source.format
                && first.source.header == stored.source.header
                && first.source.arrival == stored.source.arrival
        });
        if !alike {
            replays.extend(replay(std::mem::take(&mut run), of_run.take()));
        }
        of_run = takers;
        run.push(stored);
    }
    replays.extend(replay(run, of_run));
    replays
}

/// Who takes a letter's event; `None`: the result is gone. One that was added after the letter has read the event
/// itself.
fn takers(plan: &Plan, progress: &Progress, stored: &Stored) -> Option<Takers> {
    let name = |index: usize| plan.results[index].spec.name.as_str();
    let mut results = 0..plan.results.len();
    if let Some(of) = &stored.letter.result {
        // Of a row of an earlier result its number must be known.
        let reads_events = |index: usize| matches!(plan.results[index].query.input, Input::Events);
        let taker = results.find(|index| name(*index) == of);
        return taker.filter(|index| stored.source.row.is_some() != reads_events(*index)).map(Takers::Own);
    }
    let saw = |index: &usize| progress.results.get(name(*index)).is_some_and(|of| of.first_letter <= stored.letter.id);
    Some(Takers::All(results.filter(saw).collect()))
}

fn replay(run: Vec<Stored>, takers: Option<Takers>) -> Option<Replay> {
    let (first, takers) = run.first().zip(takers)?;
    let source = first.source.clone();
    let mut data = Vec::new();
    let mut ends = Vec::new();
    for stored in &run {
        data.extend_from_slice(&stored.letter.raw);
        data.push(b'\n');
        ends.push(data.len() as u32);
    }
    let meta: Vec<Option<String>> = run.iter().map(|stored| stored.source.meta.clone()).collect();
    let chunk = Chunk {
        data: Buffer::from_vec(data),
        ends,
        arrival: source.arrival,
        header: source.header.map(Arc::from),
        meta: meta.iter().any(Option::is_some).then_some(meta),
    };
    let ids: Arc<[u64]> = run.iter().map(|stored| stored.letter.id).collect();
    let format = source.format;
    let origin = Origin::Replay(ids);
    let chunk = SourceChunk { chunk, format, origin, mark: Mark::None, after: None, bad: Vec::new(), backlog: 0 };
    Some(Replay { chunk, takers })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of waiting letters, how many are taken the first time, and in how many goes all are.
    #[test]
    fn few_letters_are_tried_at_once() {
        let cases: [(Vec<u64>, usize, usize); 4] = [
            (vec![1; 25_000], LETTERS, 3),
            (vec![BYTES / 4; 9], 4, 3),
            // One that is larger by itself goes by itself.
            (vec![BYTES * 2, 1, 1], 1, 2),
            (vec![], 0, 0),
        ];
        for (lengths, first, goes) in cases {
            let mut waiting: Waiting = (0..).zip(lengths.iter().copied()).collect();
            let mut taken = Vec::new();
            while !waiting.is_empty() {
                taken.push(next(&mut waiting));
            }
            assert_eq!((taken.first().map_or(0, Vec::len), taken.len()), (first, goes));
            assert!(taken.concat().into_iter().eq(0..lengths.len() as u64));
        }
    }
}
