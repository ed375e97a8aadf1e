//! Queries from text to rows, as an engine would run them: workers over cuts of the input, merged in source order.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod harness;
mod names;
mod queries;
mod refusals;
mod shape;
