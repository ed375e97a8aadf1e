//! Streams: queues that forget nothing, and so do not know what was read.
//!
//! Each message has an offset, one more than that before it. Where reading goes on is stored with the messages, in one write,
//! so that each counts once.

use lapin::Connection;
use lapin::message::Delivery;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use manade_model::{RabbitMqSource, StreamStart};
use manade_store::Mark;

use super::PRECONDITION_FAILED;
use super::error::{code, describe};
use crate::ConnectError;

/// The argument that says where to begin, and the header that says where a message stands.
const OFFSET: &str = "x-stream-offset";

/// What its marks are called.
pub fn name(source: &RabbitMqSource) -> String {
    format!("rabbitmq:{}/{}", source.broker.url.path.as_deref().unwrap_or("/"), source.queue)
}

/// Of a consumer that goes on at `next`, if there was a message before.
pub fn arguments(next: Option<u64>, from: StreamStart) -> FieldTable {
    let start = match (next, from) {
        (Some(next), _) => AMQPValue::LongLongInt(i64::try_from(next).unwrap_or(i64::MAX)),
        (None, StreamStart::First) => AMQPValue::LongString("first".into()),
        (None, StreamStart::Next) => AMQPValue::LongString("next".into()),
    };
    beginning(start)
}

/// Behind a message.
pub fn mark(delivery: &Delivery, stream: &str) -> Option<Mark> {
    Some(Mark { of: stream.to_owned(), at: offset(delivery)? + 1 })
}

/// A stream is sent in pieces, the first of which may begin before the message that was asked for.
pub fn skip_known(deliveries: &mut Vec<Delivery>, next: &mut Option<u64>, queue: &str) {
    deliveries.retain(|delivery| {
        let Some(offset) = offset(delivery) else { return true };
        let expected = next.unwrap_or(offset);
        if offset > expected {
            tracing::warn!(queue, missing = offset - expected, "messages are gone from the stream that were not read");
        }
        *next = Some(expected.max(offset + 1));
        offset >= expected
    });
}

/// An error where a queue is a stream and was not said to be one, or the other way round: of such a stream nothing would be read
/// that it has, and what comes would be lost in a crash.
pub async fn check(connection: &Connection, source: &RabbitMqSource) -> Result<(), ConnectError> {
    let is_stream = is_stream(connection, &source.queue).await.map_err(|e| describe(&e, &source.broker))?;
    let queue = &source.queue;
    match (is_stream, source.from) {
        (true, None) => Err(ConnectError::new(format!("the queue {queue} is a stream"))
            .with_hint("say so, and where it is begun: `from: first`, or `from: next`")),
        (false, Some(_)) => Err(ConnectError::new(format!("the queue {queue} is not a stream"))
            .with_hint("take `from` out, or name a stream")),
        _ => Ok(()),
    }
}

/// Asks to consume from an offset that no message has: only a stream takes one.
async fn is_stream(connection: &Connection, queue: &str) -> lapin::Result<bool> {
    let channel = connection.create_channel().await?;
    // Without it a stream refuses too.
    channel.basic_qos(1, BasicQosOptions::default()).await?;
    let arguments = beginning(AMQPValue::LongLongInt(i64::MAX));
    match channel.basic_consume(queue.into(), "".into(), BasicConsumeOptions::default(), arguments).await {
        Ok(_) => channel.close(200, "".into()).await.map(|()| true),
        Err(e) if code(&e) == Some(PRECONDITION_FAILED) => Ok(false),
        Err(e) => Err(e),
    }
}

fn beginning(at: AMQPValue) -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert(OFFSET.into(), at);
    arguments
}

fn offset(delivery: &Delivery) -> Option<u64> {
    let headers = delivery.properties.headers().as_ref()?;
    match headers.inner().get(OFFSET)? {
        AMQPValue::LongLongInt(offset) => u64::try_from(*offset).ok(),
        _ => None,
    }
}
