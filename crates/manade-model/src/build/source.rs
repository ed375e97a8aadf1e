//! Sources.

use std::time::Duration;

use super::{Connections, files, retain, schema};
use crate::pipeline::{
    EventSchema, HttpSource, MessageId, QueueType, RabbitMqSource, Remember, Retain, Source, StreamStart,
};
use crate::read::{Got, Item, Object, Reading};
use crate::types::SparkType;
use crate::yaml::Mark;

const DAY: Duration = Duration::from_hours(24);

/// `None` where nothing can be made of it, which is reported.
pub(super) fn source(reading: &mut Reading<'_>, source: &Object<'_>, connections: &Connections) -> Option<Source> {
    if let Some(file) = source.object("file") {
        return files::file_source(reading, file).map(Source::File);
    }
    if let Some(http) = source.object("http") {
        return Some(Source::Http(HttpSource { retain: retained(http) }));
    }
    rabbitmq(reading, source, connections).map(|queue| Source::RabbitMq(Box::new(queue)))
}

/// The key of a source whose events are sent here and kept in a log, if it is one, and where it stands.
pub(super) fn pushed(source: &Object<'_>) -> Option<(&'static str, Mark)> {
    ["http", "rabbitmq"].into_iter().find_map(|kind| Some((kind, source.key_mark(kind)?)))
}

/// A field that is the id is one of the events.
pub(super) fn check_id(reading: &mut Reading<'_>, source: &Object<'_>, events: &EventSchema) {
    let id = source.object("rabbitmq").and_then(|queue| queue.object("id")).and_then(|id| id.get("field"));
    if let Some(Item { got: Got::Text(text), mark }) = id
        && let Some(path) = schema::path(reading, text, *mark)
        && let Some(field) = schema::field(reading, events, &path, "the id", *mark)
        && !matches!(field.data_type, SparkType::String | SparkType::Int | SparkType::Long)
    {
        let message = format!("the id `{text}` is a {}", field.data_type);
        reading.error(*mark, message, Some("name a column of type string, int or bigint".to_owned()));
    }
}

fn retained(source: &Object<'_>) -> Retain {
    source.get("retain").map_or(Retain { age: Some(DAY), size: None }, retain)
}

fn rabbitmq(reading: &mut Reading<'_>, source: &Object<'_>, connections: &Connections) -> Option<RabbitMqSource> {
    let queue = source.object("rabbitmq")?;
    let broker = connections.rabbitmq(reading, queue);
    let prefetch = prefetch(reading, queue);
    let id = queue.get("id").and_then(message_id);
    if id.is_none()
        && queue.is_sound("id")
        && let Some(mark) = queue.key_mark("remember")
    {
        reading.note(
            mark,
            "`remember` has no effect without `id`",
            Some("write what tells a message: `id: message-id`"),
        );
    }
    let declare = queue.object("declare").map(|declare| match declare.choice("type") {
        Some("classic") => QueueType::Classic,
        Some("stream") => QueueType::Stream,
        _ => QueueType::Quorum,
    });
    Some(RabbitMqSource {
        broker: broker?,
        queue: name(reading, queue, declare.is_some())?,
        prefetch: prefetch?,
        declare,
        from: stream_start(reading, queue, declare),
        id,
        remember: remember(queue),
        retain: retained(queue),
        place: reading.place(source.key_mark("rabbitmq")?),
    })
}

fn stream_start(reading: &mut Reading<'_>, queue: &Object<'_>, declare: Option<QueueType>) -> Option<StreamStart> {
    let from = queue.choice("from").map(|from| if from == "next" { StreamStart::Next } else { StreamStart::First });
    let is_stream = declare == Some(QueueType::Stream);
    if let (Some(mark), Some(_), false) = (queue.key_mark("from"), declare, is_stream) {
        let hint = "write `declare: { type: stream }`, or take `from` out";
        reading.error(
            mark,
            "`from` is of streams, and `declare` makes another queue".to_owned(),
            Some(hint.to_owned()),
        );
    }
    from.or(is_stream.then_some(StreamStart::First))
}

/// AMQP's limits of a queue's name.
fn name(reading: &mut Reading<'_>, queue: &Object<'_>, is_declared: bool) -> Option<String> {
    let Some(Item { got: Got::Text(name), mark }) = queue.get("queue") else { return None };
    let message = if name.len() > 255 {
        "`queue` is longer than 255 bytes".to_owned()
    } else if is_declared && name.starts_with("amq.") {
        "`queue` begins with `amq.`, which the broker keeps for itself".to_owned()
    } else {
        return Some((*name).to_owned());
    };
    reading.error(*mark, message, Some("name the queue otherwise".to_owned()));
    None
}

fn prefetch(reading: &mut Reading<'_>, queue: &Object<'_>) -> Option<u16> {
    let Some(Item { got: Got::Count(count), mark }) = queue.get("prefetch") else { return Some(2000) };
    let prefetch = u16::try_from(*count).ok();
    if prefetch.is_none() {
        reading.error(*mark, format!("`prefetch` is {count}"), Some("AMQP has 65535 at most".to_owned()));
    }
    prefetch
}

fn message_id(item: &Item<'_>) -> Option<MessageId> {
    let Got::Object(object) = &item.got else { return Some(MessageId::Property) };
    if let Some(header) = object.text("header") {
        return Some(MessageId::Header(header.to_owned()));
    }
    let path = object.text("field")?;
    schema::split_path(path).map(MessageId::Field)
}

fn remember(queue: &Object<'_>) -> Remember {
    let unwritten = Remember { age: DAY, count: 10_000_000 };
    match queue.get("remember").map(|item| &item.got) {
        Some(Got::Duration(age)) => Remember { age: *age, ..unwritten },
        Some(Got::Object(object)) => Remember {
            age: object.duration("age").unwrap_or(unwritten.age),
            count: object.count("count").map_or(unwritten.count, |count| usize::try_from(count).unwrap_or(usize::MAX)),
        },
        _ => unwritten,
    }
}
