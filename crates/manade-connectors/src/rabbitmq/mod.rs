//! RabbitMQ, over AMQP 0-9-1.

mod budget;
mod error;
mod message;
mod publish;
mod read;
mod sink;
mod stream;
mod transport;

use std::sync::Arc;

use lapin::options::{BasicConsumeOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Queue};
use manade_model::{QueueType, RabbitMq, RabbitMqSource};

use crate::ConnectError;
pub(crate) use publish::Publisher;
pub(crate) use read::read;
pub(crate) use sink::{Sender, check_exchange};

/// AMQP's reply code for an argument that is wrong.
const PRECONDITION_FAILED: u16 = 406;

pub(crate) async fn check(broker: &RabbitMq) -> Result<(), ConnectError> {
    let connection = transport::connect(broker, "manade check", &Arc::default()).await?;
    let _ = connection.close(200, "".into()).await;
    Ok(())
}

/// Whether the queue is there, or may be declared; it is not declared.
pub(crate) async fn check_queue(source: &RabbitMqSource) -> Result<(), ConnectError> {
    let connection = transport::connect(&source.broker, "manade check", &Arc::default()).await?;
    let channel = connection.create_channel().await.map_err(|e| error::describe(&e, &source.broker))?;
    let found = look_at(&channel, &source.queue).await.map_err(|e| error::describe(&e, &source.broker));
    let answer = match found {
        Err(_) if source.declare.is_some() => Ok(()),
        Err(error) => Err(error),
        Ok(_) => match may_read(&channel, source).await {
            Ok(()) => stream::check(&connection, source).await,
            refused => refused,
        },
    };
    let _ = connection.close(200, "".into()).await;
    answer
}

/// Asks to consume with an argument that is wrong: the broker looks at permissions before it looks at arguments, and so gives
/// no message away.
async fn may_read(channel: &Channel, source: &RabbitMqSource) -> Result<(), ConnectError> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-priority".into(), AMQPValue::LongString("none".into()));
    let options = BasicConsumeOptions::default();
    match channel.basic_consume(source.queue.as_str().into(), "".into(), options, arguments).await {
        Err(e) if error::code(&e) != Some(PRECONDITION_FAILED) => Err(error::describe(&e, &source.broker)),
        _ => Ok(()),
    }
}

/// Creates nothing.
async fn look_at(channel: &Channel, queue: &str) -> lapin::Result<Queue> {
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(queue.into(), options, FieldTable::default()).await
}

async fn declare(channel: &Channel, queue: &str, queue_type: QueueType) -> lapin::Result<Queue> {
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    let name = match queue_type {
        QueueType::Classic => "classic",
        QueueType::Quorum => "quorum",
        QueueType::Stream => "stream",
    };
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString(name.into()));
    channel.queue_declare(queue.into(), options, arguments).await
}
