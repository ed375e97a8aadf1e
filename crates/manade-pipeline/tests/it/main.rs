//! Whole pipelines over real files: started, stopped, restarted and read as a program would.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![expect(clippy::format_collect, clippy::format_push_string, reason = "events are few, and easier to read like this")]

mod chains;
mod collections;
mod counters;
mod cuts;
mod files;
mod lateness;
mod outbox;
mod rig;
