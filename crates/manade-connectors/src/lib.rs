//! Brokers and stores outside, as sources and sinks of a pipeline.
//!
//! A source outside is read into the pipeline's durable log ([`Inbox`](manade_pipeline::Inbox)) and acknowledged after
//! that: an outage of either side loses nothing. One [`Feed`] reads for one pipeline. It connects anew by itself for as
//! long as it lives, and says what it waits for.
//!
//! A sink outside gets the rows of a result from its [`Outbox`](manade_pipeline::outbox::Outbox), in order. One [`Drain`]
//! writes for one sink, and tries again for as long as it lives.
//!
//! The async runtime that the clients need is in here and does not show: calls either return at once or block.

mod backoff;
mod body;
mod drain;
mod feed;
mod mongodb;
mod parquet;
mod rabbitmq;
mod reach;
mod secret;
mod tls;

use std::io;

use manade_model::{OutsideSink, OutsideTarget, Source, Target};
use manade_pipeline::Inbox;
use manade_pipeline::outbox::Outbox;
use tokio::runtime::Runtime;

pub use drain::Drain;
pub use feed::Feed;
pub use secret::{SecretError, check as check_secret};

/// Runs the clients of all connections.
pub struct Connectors {
    /// There until it is dropped.
    runtime: Option<Runtime>,
}

/// Why something outside cannot be used; holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct ConnectError {
    pub reason: String,
    pub hint: Option<String>,
}

impl Connectors {
    pub fn new() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("connectors")
            .enable_all()
            .build()?;
        Ok(Self { runtime: Some(runtime) })
    }

    /// Begins to read a source that is outside into the inbox; `None` for sources that are not.
    pub fn feed(&self, source: &Source, inbox: Inbox) -> Option<Feed> {
        match source {
            Source::RabbitMq(queue) => {
                let queue = queue.clone();
                Some(Feed::start(self.runtime(), move |state, stop| rabbitmq::read(*queue, inbox, state, stop)))
            }
            Source::File(_) | Source::Http(_) => None,
        }
    }

    /// Begins to write what the outbox holds, and what comes into it. With `hurry`, nothing is held back to be written
    /// together with what may come.
    pub fn drain(&self, outbox: Outbox, hurry: bool) -> io::Result<Drain> {
        Drain::start(self.runtime(), outbox, hurry)
    }

    /// Sends events to what a source reads; `None` for sources that are not outside. No two publishers may have the same
    /// `prefix`, with which the ids of their messages begin. Blocks, for seconds at most.
    pub fn publisher(&self, source: &Source, prefix: String) -> Option<Result<Publisher<'_>, ConnectError>> {
        let publisher = match source {
            Source::RabbitMq(queue) => self.runtime().block_on(rabbitmq::Publisher::new(queue, prefix)),
            Source::File(_) | Source::Http(_) => return None,
        };
        Some(publisher.map(|publisher| Publisher { runtime: self.runtime(), publisher }))
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is there until this is dropped")
    }

    /// Reaches a connection and leaves again. Blocks, for seconds at most.
    pub fn check(&self, target: &Target) -> Result<(), ConnectError> {
        match target {
            Target::RabbitMq(broker) => self.runtime().block_on(rabbitmq::check(broker)),
            Target::MongoDb(store) => self.runtime().block_on(mongodb::check(store)),
        }
    }

    /// Reaches what a source names. Blocks, for seconds at most.
    pub fn check_source(&self, source: &Source) -> Result<(), ConnectError> {
        match source {
            Source::RabbitMq(queue) => self.runtime().block_on(rabbitmq::check_queue(queue)),
            Source::File(_) | Source::Http(_) => Ok(()),
        }
    }

    /// Reaches what a sink names. Blocks, for seconds at most.
    pub fn check_sink(&self, sink: &OutsideSink) -> Result<(), ConnectError> {
        match &sink.target {
            OutsideTarget::MongoDb(target) => self.runtime().block_on(mongodb::check_target(target)),
            OutsideTarget::RabbitMq(target) => self.runtime().block_on(rabbitmq::check_exchange(target)),
            OutsideTarget::Parquet(target) => parquet::check(target),
        }
    }
}

/// Sends events to the broker that a pipeline reads.
pub struct Publisher<'a> {
    runtime: &'a Runtime,
    publisher: rabbitmq::Publisher,
}

impl Publisher<'_> {
    /// A message for each line; returns once all of them are safe. Blocks, for half a minute at most.
    pub fn publish(&mut self, lines: &str) -> Result<(), ConnectError> {
        self.runtime.block_on(self.publisher.publish(lines))
    }

    pub fn close(self) {
        self.runtime.block_on(self.publisher.close());
    }
}

impl Drop for Connectors {
    /// Does not wait: whoever drops it may be on a thread that must not.
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl ConnectError {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), hint: None }
    }

    fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}
