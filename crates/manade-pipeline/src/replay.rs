//! Dead letters as a source: chunks of the kept bytes, to be decoded and run once more.

use std::sync::Arc;

use arrow::buffer::Buffer;
use manade_events::Chunk;

use crate::dead_letters::Stored;
use crate::plan::Plan;
use crate::reading::Replay;
use crate::source::{Mark, Origin, SourceChunk};

/// Letters that are tried in one chunk.
const LETTERS: usize = 10_000;

/// Cuts dead letters, in order, into chunks of those that are decoded alike and go to the same result. Letters of a
/// result that is gone, and those of which only the beginning was kept, are left as they are.
pub fn chunks(plan: &Plan, letters: Vec<Stored>) -> Vec<Replay> {
    let mut replays = Vec::new();
    let mut run: Vec<Stored> = Vec::new();
    for stored in letters {
        if matches!(target(plan, &stored), Target::Nobody) || stored.letter.raw.len() as u64 != stored.letter.length {
            continue;
        }
        let alike = run.first().is_none_or(|first| {
            first.letter.result == stored.letter.result
                && first.source.format == stored.source.format
                && first.source.header == stored.source.header
                && first.source.arrival == stored.source.arrival
        });
        if !alike || run.len() == LETTERS {
            replays.extend(replay(plan, std::mem::take(&mut run)));
        }
        run.push(stored);
    }
    replays.extend(replay(plan, run));
    replays
}

/// Who takes a letter's event.
enum Target {
    All,
    One(usize),
    /// The result is gone.
    Nobody,
}

fn target(plan: &Plan, stored: &Stored) -> Target {
    let Some(name) = &stored.letter.result else { return Target::All };
    plan.results.iter().position(|r| r.spec.name.as_str() == name).map_or(Target::Nobody, Target::One)
}

fn replay(plan: &Plan, run: Vec<Stored>) -> Option<Replay> {
    let first = run.first()?;
    let only = match target(plan, first) {
        Target::All => None,
        Target::One(result) => Some(result),
        Target::Nobody => return None,
    };
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
    Some(Replay { chunk, only })
}
