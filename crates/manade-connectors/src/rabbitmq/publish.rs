//! Messages into the queue that a pipeline reads, for who tries the pipeline.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, PublisherConfirm};
use manade_model::{MessageId, RabbitMq, RabbitMqSource};
use tokio::time::timeout;

use super::error::describe;
use super::{declare, look_at, transport};
use crate::ConnectError;

/// AMQP's delivery mode of messages that outlive the broker.
pub const PERSISTENT: u8 = 2;
/// Until the broker takes a message, or confirms the next one that it has taken.
const CONFIRM: Duration = Duration::from_secs(30);

pub(crate) struct Publisher {
    source: RabbitMqSource,
    channel: Channel,
    connection: Connection,
    /// Before the number of each message's id.
    prefix: String,
    count: u64,
}

impl Publisher {
    /// Creates the queue where the source declares it. No two publishers may have the same `prefix`: messages with the ids
    /// of earlier ones are taken for these.
    pub async fn new(source: &RabbitMqSource, prefix: String) -> Result<Self, ConnectError> {
        let connection = transport::connect(&source.broker, "manade generate", &Arc::default()).await?;
        let failed = |e: lapin::Error| describe(&e, &source.broker);
        let channel = connection.create_channel().await.map_err(failed)?;
        match source.declare {
            Some(queue_type) => declare(&channel, &source.queue, queue_type).await.map_err(failed)?,
            None => look_at(&channel, &source.queue).await.map_err(failed)?,
        };
        channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(failed)?;
        Ok(Self { source: source.clone(), channel, connection, prefix, count: 0 })
    }

    /// A message for each line; returns once the broker has all of them.
    pub async fn publish(&mut self, lines: &str) -> Result<(), ConnectError> {
        let broker = self.source.broker.clone();
        let mut confirms = Vec::new();
        for line in lines.lines() {
            confirms.push(in_time(&broker, self.one(line)).await?);
        }
        for confirm in confirms {
            match in_time(&broker, confirm).await? {
                Confirmation::Ack(None) => {}
                Confirmation::Ack(Some(_)) => {
                    return Err(ConnectError::new(format!("the queue {} is gone", self.source.queue)));
                }
                Confirmation::Nack(_) | Confirmation::NotRequested => {
                    return Err(refused(&broker));
                }
            }
        }
        Ok(())
    }

    pub async fn close(self) {
        let _ = timeout(CONFIRM, self.connection.close(200, "".into())).await;
    }

    fn one(&mut self, line: &str) -> impl Future<Output = lapin::Result<PublisherConfirm>> {
        let id = format!("{}-{}", self.prefix, self.count);
        self.count += 1;
        let properties =
            BasicProperties::default().with_content_type("application/json".into()).with_delivery_mode(PERSISTENT);
        let properties = match &self.source.id {
            Some(MessageId::Header(name)) => {
                let mut headers = FieldTable::default();
                headers.insert(name.as_str().into(), AMQPValue::LongString(id.into()));
                properties.with_headers(headers)
            }
            _ => properties.with_message_id(id.into()),
        };
        let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
        let queue = self.source.queue.as_str().into();
        self.channel.basic_publish("".into(), queue, options, line.as_bytes(), properties)
    }
}

/// What the broker is to answer to one message.
pub async fn in_time<T>(broker: &RabbitMq, answer: impl Future<Output = lapin::Result<T>>) -> Result<T, ConnectError> {
    let Ok(answer) = timeout(CONFIRM, answer).await else {
        let (url, seconds) = (&broker.url, CONFIRM.as_secs());
        return Err(ConnectError::new(format!("{url} has confirmed no message for {seconds} s"))
            .with_hint("is the broker out of memory or disk? `rabbitmqctl status` tells its alarms"));
    };
    answer.map_err(|e| describe(&e, broker))
}

/// Of a broker that did not take a message.
pub fn refused(broker: &RabbitMq) -> ConnectError {
    ConnectError::new(format!("{} refused a message", broker.url))
        .with_hint("is the queue full? `rabbitmqctl list_queues name messages policy` tells")
}
