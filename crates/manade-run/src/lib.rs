//! What `manade up` is: starts, supervises, reloads and stops the pipelines of a platform.
//!
//! [`Running`] holds the pipelines of a platform's folder over one data folder and keeps them as the files say;
//! [`Offline`] opens a data folder while nothing runs; [`testing`] runs the tests that pipelines carry.

mod control;
mod inferred;
mod kept;
mod offline;
mod platform;
mod running;
mod slot;
pub mod testing;

pub use control::{ControlError, Health, IngestAnswer, IngestError, IngestInfo, IngestKeys, IngestRequest};
pub use inferred::inferred_schema;
pub use kept::Kept;
pub use manade_connectors::{ConnectError, Connectors, Publisher};
pub use manade_store::IdempotencyKey;
pub use offline::Offline;
pub use platform::{Checked, PlatformError, check, connect};
pub use running::FINDING;
pub use running::{RunOptions, Running, StartError};
