//! Messages as entries of the log.

use lapin::message::Delivery;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use manade_events::ingest::Accepted;
use manade_model::MessageId;
use manade_pipeline::entry;
use manade_store::{Entry, IdempotencyKey};
use serde_json::{Map, Value};

use super::stream;
use crate::body::{self, Said};

/// In order. Messages with an id are an entry each, or an entry an event where the id is in it; others are joined. Those of a
/// stream are marked, as what is called so.
pub fn entries(deliveries: Vec<Delivery>, id: Option<&MessageId>, stream: Option<&str>) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut joined = Accepted { meta: Some(Vec::new()), ..Accepted::lines(Vec::new(), 0) };
    let mut joined_mark = None;
    for delivery in deliveries {
        let (accepted, delivery) = accepted(delivery);
        let mark = stream.and_then(|stream| stream::mark(&delivery, stream));
        let before = entries.len();
        match id {
            None => {
                join(&mut joined, accepted);
                joined_mark = mark.or(joined_mark);
                continue;
            }
            Some(MessageId::Field(path)) => entries.extend(by_event(accepted, path)),
            Some(id) => {
                let key = key_of(&delivery, id).map(key);
                entries.push(entry(accepted, key));
            }
        }
        if let Some(last) = entries[before..].last_mut() {
            last.mark = mark;
        }
    }
    if joined.count > 0 {
        entries.push(Entry { mark: joined_mark, ..entry(joined, None) });
    }
    entries
}

/// The events, each with what the message says of itself; and the message without its body.
fn accepted(mut delivery: Delivery) -> (Accepted, Delivery) {
    let body = std::mem::take(&mut delivery.data);
    let properties = &delivery.properties;
    let said = Said {
        content_type: properties.content_type().as_ref().map(ShortString::as_str),
        content_encoding: properties.content_encoding().as_ref().map(ShortString::as_str),
    };
    let events = body::events(body, said);
    let meta = meta(&delivery).to_string();
    let meta = vec![Some(meta); events.count as usize];
    (Accepted { meta: Some(meta), ..events }, delivery)
}

fn join(joined: &mut Accepted, mut next: Accepted) {
    joined.data.append(&mut next.data);
    if !joined.data.ends_with(b"\n") {
        joined.data.push(b'\n');
    }
    joined.count += next.count;
    if let (Some(meta), Some(next)) = (&mut joined.meta, &mut next.meta) {
        meta.append(next);
    }
}

/// An id is one message's, whatever its body: a message that is published again with the same id counts once.
fn key(id: String) -> IdempotencyKey {
    IdempotencyKey { key: format!("message:{id}"), body_hash: 0 }
}

fn key_of(delivery: &Delivery, id: &MessageId) -> Option<String> {
    match id {
        MessageId::Property => delivery.properties.message_id().as_ref().map(ToString::to_string),
        MessageId::Header(name) => {
            let headers = delivery.properties.headers().as_ref()?;
            headers.inner().get(name.as_str()).and_then(text_of)
        }
        MessageId::Field(_) => None,
    }
}

/// An entry an event.
fn by_event(accepted: Accepted, path: &[String]) -> Vec<Entry> {
    let lines = accepted.data.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let meta = accepted.meta.into_iter().flatten();
    let one = |(line, meta): (&[u8], Option<String>)| {
        let event = Accepted { meta: Some(vec![meta]), ..Accepted::lines([line, b"\n"].concat(), 1) };
        entry(event, field(line, path).map(key))
    };
    lines.zip(meta).map(one).collect()
}

/// What stands at a path of an event, as text; `None` where there is nothing, or nothing that could be an id.
fn field(line: &[u8], path: &[String]) -> Option<String> {
    let mut value: Value = serde_json::from_slice(line).ok()?;
    for name in path {
        let Value::Object(members) = value else { return None };
        value = members.into_iter().find(|(member, _)| member.eq_ignore_ascii_case(name)).map(|(_, value)| value)?;
    }
    match value {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// `_meta`: names as in AMQP, with `_` for `-`; a header's name behind `header.`.
fn meta(delivery: &Delivery) -> Value {
    let properties = &delivery.properties;
    let mut meta = Map::new();
    let mut put = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            meta.insert(name.to_owned(), Value::String(value));
        }
    };
    put("exchange", Some(delivery.exchange.to_string()));
    put("routing_key", Some(delivery.routing_key.to_string()));
    put("redelivered", delivery.redelivered.then(|| "true".to_owned()));
    put("message_id", properties.message_id().as_ref().map(ToString::to_string));
    put("correlation_id", properties.correlation_id().as_ref().map(ToString::to_string));
    put("type", properties.kind().as_ref().map(ToString::to_string));
    put("app_id", properties.app_id().as_ref().map(ToString::to_string));
    put("user_id", properties.user_id().as_ref().map(ToString::to_string));
    put("content_type", properties.content_type().as_ref().map(ToString::to_string));
    // Seconds since the epoch, by AMQP.
    put("timestamp", properties.timestamp().map(|seconds| seconds.to_string()));
    for (name, value) in properties.headers().iter().flat_map(FieldTable::inner) {
        put(&format!("header.{name}"), text_of(value));
    }
    Value::Object(meta)
}

/// `None` for values that have parts, and for none.
fn text_of(value: &AMQPValue) -> Option<String> {
    match value {
        AMQPValue::Boolean(value) => Some(value.to_string()),
        AMQPValue::ShortShortInt(value) => Some(value.to_string()),
        AMQPValue::ShortShortUInt(value) => Some(value.to_string()),
        AMQPValue::ShortInt(value) => Some(value.to_string()),
        AMQPValue::ShortUInt(value) => Some(value.to_string()),
        AMQPValue::LongInt(value) => Some(value.to_string()),
        AMQPValue::LongUInt(value) => Some(value.to_string()),
        AMQPValue::LongLongInt(value) => Some(value.to_string()),
        AMQPValue::Float(value) => Some(value.to_string()),
        AMQPValue::Double(value) => Some(value.to_string()),
        AMQPValue::Timestamp(seconds) => Some(seconds.to_string()),
        AMQPValue::ShortString(text) => Some(text.to_string()),
        AMQPValue::LongString(text) => Some(String::from_utf8_lossy(text.as_bytes()).into_owned()),
        AMQPValue::ByteArray(bytes) => Some(String::from_utf8_lossy(bytes.as_slice()).into_owned()),
        AMQPValue::DecimalValue(_) | AMQPValue::FieldArray(_) | AMQPValue::FieldTable(_) | AMQPValue::Void => None,
    }
}
