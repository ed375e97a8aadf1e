//! The sink: a message for each row, confirmed by the broker.
//!
//! At least once: what was not known to be confirmed is sent again, with the same `message-id`, by which whoever receives it
//! can tell. Order on the wire is that of the outbox; a row that is sent again comes behind those that were sent meanwhile.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, PublisherConfirm};
use manade_model::RabbitMqSink;
use manade_pipeline::collection::CollectionInfo;
use manade_pipeline::outbox::{Portion, PortionKind};
use manade_pipeline::values::{write_json, write_string};
use tokio::time::timeout;

use super::error::{self, describe};
use super::publish::{self, PERSISTENT};
use super::{PRECONDITION_FAILED, transport};
use crate::ConnectError;
use crate::drain::Progress;

/// Messages that are sent before the first of them is waited for, and the bytes of their bodies.
const TOGETHER: usize = 1_000;
const BYTES: usize = 4 << 20;
const CLOSE: Duration = Duration::from_secs(2);

/// Sends the rows of one result.
pub(crate) struct Sender {
    target: RabbitMqSink,
    info: Arc<CollectionInfo>,
    generation: u64,
    /// Made anew after trouble.
    link: Option<Link>,
}

struct Link {
    connection: Connection,
    channel: Channel,
}

impl Sender {
    pub fn new(target: RabbitMqSink, info: Arc<CollectionInfo>, generation: u64) -> Self {
        Self { target, info, generation, link: None }
    }

    /// Goes on with a portion. After an error it can be called again.
    pub async fn send(&mut self, portion: &Portion, progress: &mut Progress) -> Result<(), ConnectError> {
        let sent = self.send_all(portion, progress).await;
        if sent.is_err() {
            self.unlink().await;
        }
        sent
    }

    pub async fn close(mut self) {
        self.unlink().await;
    }

    async fn send_all(&mut self, portion: &Portion, progress: &mut Progress) -> Result<(), ConnectError> {
        if self.link.is_none() {
            self.link = Some(Link::new(&self.target).await?);
        }
        // What is not a row's message stands for all rows.
        let messages = portion.rows.num_rows().max(usize::from(portion.kind == PortionKind::RemoveOlder));
        while progress.next < messages {
            self.some(portion, progress, messages).await?;
        }
        Ok(())
    }

    /// As many as go together. However slow the broker is, what it has confirmed is not sent again.
    async fn some(&self, portion: &Portion, progress: &mut Progress, end: usize) -> Result<(), ConnectError> {
        let link = self.link.as_ref().expect("it was made before");
        let broker = &self.target.broker;
        let (mut confirms, mut bytes, mut row) = (Vec::new(), 0, progress.next);
        while row < end && confirms.len() < TOGETHER && bytes < BYTES {
            let body = self.body(portion, row);
            bytes += body.len();
            confirms.push(publish::in_time(broker, self.publish(&link.channel, portion, row, &body)).await?);
            row += 1;
        }
        for confirm in confirms {
            match publish::in_time(broker, confirm).await? {
                Confirmation::Ack(None) => {}
                Confirmation::Ack(Some(_)) => return Err(self.unrouted()),
                Confirmation::Nack(_) | Confirmation::NotRequested => return Err(publish::refused(broker)),
            }
            progress.next += 1;
            progress.written += u64::from(portion.kind != PortionKind::RemoveOlder);
        }
        Ok(())
    }

    async fn publish(
        &self,
        channel: &Channel,
        portion: &Portion,
        row: usize,
        body: &[u8],
    ) -> lapin::Result<PublisherConfirm> {
        let mut headers = FieldTable::default();
        let texts = [("pipeline", &self.info.pipeline), ("result", &self.info.name)];
        for (name, text) in texts {
            headers.insert(name.into(), AMQPValue::LongString(text.as_str().into()));
        }
        if matches!(portion.kind, PortionKind::Upsert | PortionKind::Delete) {
            headers.insert("key".into(), AMQPValue::LongString(hex(portion.key(row)).into()));
        }
        if portion.kind != PortionKind::Append {
            headers.insert("revision".into(), AMQPValue::LongLongInt(portion.revision));
        }
        let properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_delivery_mode(PERSISTENT)
            .with_message_id(self.id(portion, row).into())
            .with_type(kind(portion.kind).into())
            .with_app_id("manade".into())
            .with_headers(headers);
        let options = BasicPublishOptions { mandatory: self.target.mandatory, ..BasicPublishOptions::default() };
        let (exchange, key) = (exchange(&self.target), self.target.routing_key.as_str());
        channel.basic_publish(exchange.into(), key.into(), options, body, properties).await
    }

    /// The same one however often a row is sent, and no other row's.
    fn id(&self, portion: &Portion, row: usize) -> String {
        format!("{:016x}-{:032x}", self.generation, portion.identity(row))
    }

    /// A JSON object of all columns; of a deleted row those of its key.
    fn body(&self, portion: &Portion, row: usize) -> Vec<u8> {
        if portion.kind == PortionKind::RemoveOlder {
            return b"{}".to_vec();
        }
        let mut body = vec![b'{'];
        for (column, values) in self.info.columns.iter().zip(portion.rows.columns()) {
            if portion.kind == PortionKind::Delete && !self.info.key.contains(&column.name) {
                continue;
            }
            if body.len() > 1 {
                body.push(b',');
            }
            write_string(&column.name, &mut body);
            body.push(b':');
            write_json(values.as_ref(), row, &mut body);
        }
        body.push(b'}');
        body
    }

    fn unrouted(&self) -> ConnectError {
        let RabbitMqSink { exchange, routing_key, broker, .. } = &self.target;
        if exchange == RabbitMqSink::DEFAULT_EXCHANGE {
            return ConnectError::new(format!("{} has no queue {routing_key}", broker.url))
                .with_hint("create the queue that `routingKey` names");
        }
        let reason = format!("the exchange {exchange} of {} gives {routing_key:?} to no queue", broker.url);
        ConnectError::new(reason).with_hint(
            "bind a queue for this routing key to the exchange, or write `mandatory: false` to have the messages dropped",
        )
    }

    async fn unlink(&mut self) {
        if let Some(Link { connection, .. }) = self.link.take() {
            // A connection that is broken cannot be closed, and a broker that hangs does not answer.
            let _ = timeout(CLOSE, connection.close(200, "".into())).await;
        }
    }
}

impl Link {
    async fn new(target: &RabbitMqSink) -> Result<Self, ConnectError> {
        let name = format!("manade: to {}", target.exchange);
        let connection = transport::connect(&target.broker, &name, &Arc::default()).await?;
        let channel = confirming(&connection).await.map_err(|e| describe(&e, &target.broker))?;
        Ok(Self { connection, channel })
    }
}

/// That the exchange is there, and that the user may write to it; no message is sent.
pub(crate) async fn check_exchange(target: &RabbitMqSink) -> Result<(), ConnectError> {
    let connection = transport::connect(&target.broker, "manade check", &Arc::default()).await?;
    let answer = match may_write(&connection, target).await {
        Err(e) if error::code(&e) != Some(PRECONDITION_FAILED) => Err(describe(&e, &target.broker)),
        _ => Ok(()),
    };
    let _ = timeout(CLOSE, connection.close(200, "".into())).await;
    answer
}

/// Sends a message with an expiration that is wrong: the broker looks for the exchange and at permissions before it looks at
/// properties, and so gives the message to no queue.
async fn may_write(connection: &Connection, target: &RabbitMqSink) -> lapin::Result<()> {
    let channel = confirming(connection).await?;
    let properties = BasicProperties::default().with_expiration("none".into());
    let key = target.routing_key.as_str();
    if target.exchange == RabbitMqSink::DEFAULT_EXCHANGE {
        super::look_at(&channel, key).await?;
    }
    let options = BasicPublishOptions::default();
    let confirm = channel.basic_publish(exchange(target).into(), key.into(), options, b"", properties).await?;
    confirm.await.map(|_| ())
}

async fn confirming(connection: &Connection) -> lapin::Result<Channel> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

/// As AMQP knows it.
fn exchange(target: &RabbitMqSink) -> &str {
    if target.exchange == RabbitMqSink::DEFAULT_EXCHANGE { "" } else { &target.exchange }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn kind(kind: PortionKind) -> &'static str {
    match kind {
        PortionKind::Upsert => "upsert",
        PortionKind::Delete => "delete",
        PortionKind::Append => "append",
        PortionKind::RemoveOlder => "remove-older",
    }
}
