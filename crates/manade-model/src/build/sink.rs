//! Sinks: where a result's rows go.

use std::collections::HashMap;
use std::time::Duration;

use super::Connections;
use crate::finding::{Finding, Place};
use crate::pipeline::{Draft, MongoDbSink, Name, OutsideSink, OutsideTarget, ParquetSink, RabbitMqSink, Sink};
use crate::read::{Got, Item, Object, Reading};
use crate::yaml::Mark;

/// The sinks here, one at least, and those outside.
pub(super) fn sinks(
    reading: &mut Reading<'_>,
    object: &Object<'_>,
    connections: &Connections,
) -> (Vec<Sink>, Vec<OutsideSink>) {
    let (mut sinks, mut outside) = (Vec::new(), Vec::new());
    let mut has_outside = false;
    for item in object.list("sinks") {
        if let Got::Object(written) = &item.got {
            has_outside = true;
            outside.extend(outside_sink(reading, written, connections));
            continue;
        }
        let sink = if matches!(item.got, Got::Choice("discard")) { Sink::Discard } else { Sink::Collection };
        if sinks.contains(&sink) {
            let message = "this sink stands twice in `sinks`".to_owned();
            reading.error(item.mark, message, Some("keep one of them".to_owned()));
        } else if !sinks.is_empty() {
            let message = "`discard` cannot be combined with `collection`".to_owned();
            reading.error(item.mark, message, Some("keep one of them".to_owned()));
        }
        sinks.push(sink);
    }
    let discard = object.list("sinks").iter().find(|item| matches!(item.got, Got::Choice("discard")));
    if let Some(item) = discard.filter(|_| has_outside) {
        let message = "`discard` cannot be combined with a sink outside: rows are sent from the collection".to_owned();
        reading.error(item.mark, message, Some("take `discard` out; `retain` bounds what is kept".to_owned()));
    }
    if sinks.is_empty() {
        sinks.push(Sink::Collection);
    }
    (sinks, outside)
}

/// Collections that two results write to, which would take each other's rows away, and targets that a result names twice. Says
/// whether there are none.
pub(super) fn clashes(draft: Option<&Draft>, known: &mut HashMap<String, Place>, findings: &mut Vec<Finding>) -> bool {
    let before = findings.len();
    for result in draft.iter().flat_map(|draft| &draft.pipeline.results) {
        for sink in &result.outside {
            let (target, hint) = match &sink.target {
                OutsideTarget::MongoDb(_) => {
                    (sink.name(), "give each a collection of its own: what is not the result's is taken out of it")
                }
                OutsideTarget::Parquet(parquet) => {
                    (parquet.folder.display().to_string(), "give each a folder of its own")
                }
                // An exchange takes what it is sent, by whomever.
                OutsideTarget::RabbitMq(_) => (format!("{} of {}", sink.name(), result.name), "take one of them out"),
            };
            if let Some(first) = known.get(&target) {
                let message = format!("a second sink writes to {}, the first is at {first}", sink.name());
                findings.push(Finding::error(sink.place.clone(), message).with_hint(hint));
            } else {
                known.insert(target, sink.place.clone());
            }
        }
    }
    findings.len() == before
}

/// `None` where it is wrong, which is reported.
fn outside_sink(reading: &mut Reading<'_>, written: &Object<'_>, connections: &Connections) -> Option<OutsideSink> {
    let (kind, object) =
        ["mongodb", "rabbitmq", "parquet"].into_iter().find_map(|kind| Some((kind, written.object(kind)?)))?;
    let mark = written.key_mark(kind)?;
    let target = match kind {
        "mongodb" => mongodb(reading, object, connections).map(OutsideTarget::MongoDb),
        "rabbitmq" => rabbitmq(reading, object, mark, connections).map(OutsideTarget::RabbitMq),
        _ => parquet(reading, object).map(OutsideTarget::Parquet),
    };
    Some(OutsideSink { target: target?, backfill: object.flag("backfill").unwrap_or(true), place: reading.place(mark) })
}

fn mongodb(reading: &mut Reading<'_>, object: &Object<'_>, connections: &Connections) -> Option<MongoDbSink> {
    let store = connections.mongodb(reading, object);
    let database = database(reading, object);
    let collection = collection(reading, object);
    Some(MongoDbSink { connection: connection(object)?, store: store?, database: database?, collection: collection? })
}

fn rabbitmq(
    reading: &mut Reading<'_>,
    object: &Object<'_>,
    mark: Mark,
    connections: &Connections,
) -> Option<RabbitMqSink> {
    let broker = connections.rabbitmq(reading, object);
    let exchange = short_text(reading, object, "exchange", RabbitMqSink::DEFAULT_EXCHANGE)?;
    let routing_key = short_text(reading, object, "routingKey", "")?;
    if exchange.is_empty()
        && let Some(Item { mark, .. }) = object.get("exchange")
    {
        let hint = "leave it out for the default exchange";
        reading.error(*mark, "`exchange` is empty".to_owned(), Some(hint.to_owned()));
        return None;
    }
    if exchange == RabbitMqSink::DEFAULT_EXCHANGE && routing_key.is_empty() && object.is_sound("routingKey") {
        let hint = "write the queue as `routingKey`, or the `exchange`";
        let message = "the default exchange needs a queue".to_owned();
        reading.error(mark, message, Some(hint.to_owned()));
        return None;
    }
    let mandatory = object.flag("mandatory").unwrap_or(true);
    Some(RabbitMqSink { connection: connection(object)?, broker: broker?, exchange, routing_key, mandatory })
}

fn parquet(reading: &mut Reading<'_>, object: &Object<'_>) -> Option<ParquetSink> {
    let written = object.text("path")?.to_owned();
    let mut partition_by: Vec<(String, Place)> = Vec::new();
    for item in object.list("partitionBy") {
        let Got::Text(name) = &item.got else { continue };
        if partition_by.iter().any(|(known, _)| known == name) {
            let message = format!("`{name}` stands twice in `partitionBy`");
            reading.error(item.mark, message, Some("keep one of them".to_owned()));
        }
        partition_by.push(((*name).to_owned(), reading.place(item.mark)));
    }
    Some(ParquetSink {
        // Without `.`, so that one folder is written in one way.
        folder: reading.folder().join(&written).components().collect(),
        written,
        partition_by,
        every: object.duration("every").unwrap_or(Duration::from_mins(1)),
        size: object.size("size").unwrap_or(128 << 20),
    })
}

fn connection(object: &Object<'_>) -> Option<Name> {
    match object.get("connection").map(|item| &item.got) {
        Some(Got::Name(name)) => Some(name.clone()),
        _ => None,
    }
}

/// Within AMQP's limit of names.
fn short_text(reading: &mut Reading<'_>, object: &Object<'_>, key: &str, unwritten: &str) -> Option<String> {
    let Some(Item { got: Got::Text(text), mark }) = object.get(key) else { return Some(unwritten.to_owned()) };
    if text.len() > 255 {
        reading.error(*mark, format!("`{key}` is longer than 255 bytes"), Some("AMQP has 255 at most".to_owned()));
        return None;
    }
    Some((*text).to_owned())
}

/// By MongoDB's rules of names (<https://www.mongodb.com/docs/manual/reference/limits/#naming-restrictions>).
fn database(reading: &mut Reading<'_>, object: &Object<'_>) -> Option<String> {
    let Some(Item { got: Got::Text(name), mark }) = object.get("database") else { return None };
    let message = if name.len() > 63 {
        "is longer than 63 bytes".to_owned()
    } else if let Some(bad) = name.chars().find(|c| "/\\. \"$*<>:|?\0".contains(*c)) {
        format!("has a {bad:?}, which MongoDB allows in no database's name")
    } else if ["admin", "local", "config"].contains(name) {
        format!("is `{name}`, which MongoDB keeps for itself")
    } else {
        return Some((*name).to_owned());
    };
    reading.error(*mark, format!("`database` {message}"), Some("name the database otherwise".to_owned()));
    None
}

fn collection(reading: &mut Reading<'_>, object: &Object<'_>) -> Option<String> {
    let Some(Item { got: Got::Text(name), mark }) = object.get("collection") else { return None };
    let message = if name.len() > 190 {
        "is longer than 190 bytes".to_owned()
    } else if let Some(bad) = name.chars().find(|c| "$\0".contains(*c)) {
        format!("has a {bad:?}, which MongoDB allows in no collection's name")
    } else if name.starts_with("system.") {
        "begins with `system.`, which MongoDB keeps for itself".to_owned()
    } else {
        return Some((*name).to_owned());
    };
    reading.error(*mark, format!("`collection` {message}"), Some("name the collection otherwise".to_owned()));
    None
}
