//! One pipeline: source, workers, merge, commit, collections.
//!
//! The way of an event: the source thread ([`reading`]) cuts the source into chunks; workers ([`worker`]) decode a chunk,
//! get its watermarks in turn ([`sequencer`]) and run every result's SQL up to the partial aggregate; the merging thread
//! ([`engine`]) takes their outputs in source order, merges them with stored state ([`groups`]) and commits offsets,
//! state, rows and counters at once ([`commit`]). Readers see commits through [`view`].
//!
//! Invariants: read = processed + dead at every commit; rows do not depend on how the source was cut, on the number of
//! workers, or on restarts; every queue is bounded.

mod bisect;
pub mod collection;
mod commit;
pub mod dead_letter;
mod dead_letters;
mod engine;
mod fit;
mod groups;
mod inbox;
mod job;
mod lookup;
pub mod outbox;
mod pace;
mod pipeline;
pub mod plan;
mod progress;
mod reading;
mod replay;
mod retain;
mod sequencer;
mod source;
pub mod status;
mod tables;
pub mod testing;
mod upstream;
pub mod values;
mod view;
mod worker;

pub use engine::ReplayAnswer;
pub use inbox::{Inbox, entry};
pub use pipeline::{Pipeline, PipelineOptions, StartError, Stored, StoredError};
pub use reading::describe;
pub use source::file::format_by_name;
pub use source::log::LINES;
pub use tables::{sample, unpacked};
