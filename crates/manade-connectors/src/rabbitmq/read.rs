//! The source: messages into the log, acknowledged once they are durable there.
//!
//! Messages are taken as they come: whatever has arrived while the log was syncing goes into it together, and is
//! acknowledged together. A message that is neither acknowledged nor known here comes again after a reconnect; its id says
//! that it was accepted already. A stream forgets nothing: how far it was read is stored with its messages, and reading goes
//! on from there.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::{Channel, Connection, Consumer};
use manade_model::RabbitMqSource;
use manade_pipeline::Inbox;
use manade_store::{AppendError, Entry};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::budget::Budget;
use super::error::describe;
use super::message::entries;
use super::transport::connect;
use super::{declare, look_at, stream};
use crate::ConnectError;
use crate::backoff::Backoff;
use crate::feed::{State, Stop};

/// Bytes of bodies that are taken together.
const TOGETHER: usize = 4 << 20;
/// How often the log is asked again whether it takes events.
const RETRY: Duration = Duration::from_millis(500);
/// How often the broker is asked how many messages wait.
const COUNT: Duration = Duration::from_secs(5);
/// A connection that lasted this long was a good one.
const GOOD: Duration = Duration::from_secs(30);
/// A quorum queue without a leader may never answer.
const SET_UP: Duration = Duration::from_secs(20);
const CLOSE: Duration = Duration::from_secs(2);

/// Until it is stopped, or the log is closed.
pub async fn read(source: RabbitMqSource, inbox: Inbox, state: Arc<State>, mut stop: Stop) {
    let mut backoff = Backoff::new();
    let stream = source.from.is_some().then(|| stream::name(&source));
    loop {
        let next = stream.as_ref().and_then(|stream| inbox.mark(stream));
        let begun = Instant::now();
        let budget = Arc::new(Budget::default());
        let mut session = Session {
            source: &source,
            stream: stream.as_deref(),
            inbox: &inbox,
            state: &state,
            budget,
            is_drained: true,
            next,
            stop: &mut stop,
        };
        let Err(error) = session.run().await else { return };
        state.unacknowledged.store(0, Ordering::Relaxed);
        state.ready(None);
        if begun.elapsed() > GOOD {
            backoff.reset();
        }
        let hint = error.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        tracing::warn!(queue = %source.queue, "reading is interrupted: {}{hint}", error.reason);
        state.waits_for(Some(error.reason));
        tokio::select! {
            () = sleep(backoff.next()) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// One connection's time.
struct Session<'a> {
    source: &'a RabbitMqSource,
    /// What its marks are called, if the queue is a stream.
    stream: Option<&'a str>,
    inbox: &'a Inbox,
    state: &'a State,
    budget: Arc<Budget>,
    /// Everything that has arrived was taken.
    is_drained: bool,
    /// The next message of a stream, if there was one before.
    next: Option<u64>,
    stop: &'a mut Stop,
}

/// What is to be done next.
enum Next {
    Take(Box<Option<lapin::Result<Delivery>>>),
    Count,
    Stop,
}

impl Session<'_> {
    /// Ends well only when it is stopped.
    async fn run(&mut self) -> Result<(), ConnectError> {
        let name = format!("manade: {}", self.source.queue);
        let connection = tokio::select! {
            connection = connect(&self.source.broker, &name, &self.budget) => connection?,
            _ = self.stop.wait_for(|stop| *stop) => return Ok(()),
        };
        let ended = self.consume(&connection).await;
        // A connection that is broken cannot be closed, and a broker that hangs does not answer.
        let _ = timeout(CLOSE, connection.close(200, "".into())).await;
        ended
    }

    /// A channel, and what comes over it.
    async fn set_up(&self, connection: &Connection) -> Result<(Channel, Consumer), ConnectError> {
        let failed = |e: lapin::Error| describe(&e, &self.source.broker);
        let channel = connection.create_channel().await.map_err(failed)?;
        match self.source.declare {
            Some(queue_type) => declare(&channel, &self.source.queue, queue_type).await.map_err(failed)?,
            None => look_at(&channel, &self.source.queue).await.map_err(failed)?,
        };
        stream::check(connection, self.source).await?;
        channel.basic_qos(self.source.prefetch, BasicQosOptions::default()).await.map_err(failed)?;
        let options = BasicConsumeOptions::default();
        let arguments = self.source.from.map(|from| stream::arguments(self.next, from)).unwrap_or_default();
        let consumer = channel.basic_consume(self.source.queue.as_str().into(), "".into(), options, arguments);
        let consumer = consumer.await.map_err(failed)?;
        Ok((channel, consumer))
    }

    async fn consume(&mut self, connection: &Connection) -> Result<(), ConnectError> {
        let broker = &self.source.broker;
        let failed = |e: lapin::Error| describe(&e, broker);
        let set_up = timeout(SET_UP, self.set_up(connection)).await;
        let (channel, mut consumer) = set_up.unwrap_or_else(|_| {
            let (queue, seconds) = (&self.source.queue, SET_UP.as_secs());
            Err(ConnectError::new(format!("{} did not answer for the queue {queue} within {seconds} s", broker.url)))
        })?;
        let mut counting = interval(COUNT);
        counting.set_missed_tick_behavior(MissedTickBehavior::Delay);
        self.state.waits_for(None);
        loop {
            if self.is_drained {
                self.budget.hungry();
            }
            let next = tokio::select! {
                delivery = consumer.next() => Next::Take(Box::new(delivery)),
                _ = counting.tick() => Next::Count,
                _ = self.stop.wait_for(|stop| *stop) => Next::Stop,
            };
            match next {
                Next::Take(first) => {
                    let first = self.arrived(*first)?;
                    if !self.take(first, &mut consumer, &channel).await? {
                        return Ok(());
                    }
                }
                Next::Count => {
                    let queue = look_at(&channel, &self.source.queue).await.map_err(failed)?;
                    // Of a stream those are counted too that were read.
                    self.state.ready(self.source.from.is_none().then(|| u64::from(queue.message_count())));
                }
                Next::Stop => return Ok(()),
            }
        }
    }

    fn arrived(&self, delivery: Option<lapin::Result<Delivery>>) -> Result<Delivery, ConnectError> {
        match delivery {
            Some(Ok(delivery)) => {
                self.budget.taken(delivery.data.len());
                self.state.received.fetch_add(1, Ordering::Relaxed);
                self.state.unacknowledged.fetch_add(1, Ordering::Relaxed);
                Ok(delivery)
            }
            Some(Err(e)) => Err(describe(&e, &self.source.broker)),
            None => Err(ConnectError::new(format!("the queue {} was deleted, or its node is gone", self.source.queue))),
        }
    }

    /// A message and those that have arrived behind it; `false` once no more are to be taken.
    async fn take(
        &mut self,
        first: Delivery,
        consumer: &mut Consumer,
        channel: &Channel,
    ) -> Result<bool, ConnectError> {
        let mut bytes = first.data.len();
        let mut deliveries = vec![first];
        self.is_drained = false;
        while bytes < TOGETHER && !self.is_drained {
            match consumer.next().now_or_never() {
                Some(delivery) => {
                    let delivery = self.arrived(delivery)?;
                    bytes += delivery.data.len();
                    deliveries.push(delivery);
                }
                None => self.is_drained = true,
            }
        }
        let last = deliveries.last().map_or(0, |delivery| delivery.delivery_tag);
        let taken = deliveries.len() as u64;
        if let Some(stream) = self.stream {
            stream::skip_known(&mut deliveries, &mut self.next, stream);
        }
        if !self.accept(entries(deliveries, self.source.id.as_ref(), self.stream)).await {
            return Ok(false);
        }
        // The broker keeps the order of deliveries: all up to the last one are durable.
        let acknowledged = channel.basic_ack(last, BasicAckOptions { multiple: true }).await;
        acknowledged.map_err(|e| describe(&e, &self.source.broker))?;
        self.state.unacknowledged.fetch_sub(taken, Ordering::Relaxed);
        Ok(!*self.stop.borrow())
    }

    /// Waits until the log has taken the entries; `false` where it takes none any more, or reading is to end.
    async fn accept(&mut self, entries: Vec<Entry>) -> bool {
        let events: u64 = entries.iter().map(|entry| u64::from(entry.count)).sum();
        loop {
            let appended = match self.inbox.append(entries.clone()) {
                Ok(ticket) => ticket.await,
                Err(error) => Err(error),
            };
            let trouble = match appended {
                Ok(appended) => {
                    let new = if appended.replayed { 0 } else { u64::from(appended.count) };
                    self.state.repeated.fetch_add(events.saturating_sub(new), Ordering::Relaxed);
                    self.state.waits_for(None);
                    return true;
                }
                Err(AppendError::Stopped) => return false,
                Err(AppendError::Full) => "events wait to be processed, more are not taken".to_owned(),
                Err(error) => error.to_string(),
            };
            self.state.waits_for(Some(trouble));
            tokio::select! {
                () = sleep(RETRY) => {}
                _ = self.stop.wait_for(|stop| *stop) => return false,
            }
        }
    }
}
