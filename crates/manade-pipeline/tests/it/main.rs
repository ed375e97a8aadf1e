//! Whole pipelines over real files: started, stopped, restarted and read as a program would.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod collections;
mod counters;
mod cuts;
mod files;
mod lateness;
mod rig;
