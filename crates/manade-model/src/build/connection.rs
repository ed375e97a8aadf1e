//! Connections: read first, so that pipelines can name them.

use std::collections::HashMap;

use super::placed_name;
use crate::connection::{Connection, MongoDb, RabbitMq, Secret, Target, Tls};
use crate::finding::Place;
use crate::pipeline::Name;
use crate::read::{Got, Item, Object, Reading};
use crate::url::Url;
use crate::yaml::Mark;

/// The connections of all files.
#[derive(Default)]
pub(crate) struct Connections {
    sound: Vec<Connection>,
    /// Every name, also of those with errors, with its place and what kind the connection is if that can be told.
    names: HashMap<Name, (Place, Option<&'static str>)>,
    /// A connection's name is wrong: a pipeline may mean it.
    has_nameless: bool,
}

impl Connections {
    pub(crate) fn add(&mut self, reading: &mut Reading<'_>, document: &Object<'_>, errors_before: usize) {
        let named = document.object("metadata").and_then(|metadata| placed_name(reading, metadata));
        let mut secrets = Vec::new();
        let target = document.object("spec").and_then(|spec| target(reading, spec, &mut secrets));
        let Some((name, place)) = named else {
            self.has_nameless = true;
            return;
        };
        let kind = target.as_ref().map(Target::kind);
        if let Some((first, _)) = self.names.get(&name) {
            let message = format!("a second connection is called `{name}`, the first is at {first}");
            reading.error_at(place, message, Some("rename one of them".to_owned()));
            return;
        }
        self.names.insert(name.clone(), (place.clone(), kind));
        if let Some(target) = target.filter(|_| reading.errors() == errors_before) {
            self.sound.push(Connection { name, target, secrets, place });
        }
    }

    pub(crate) fn sound(self) -> Vec<Connection> {
        self.sound
    }

    /// The broker that the key `connection` of `object` names; `None` where it is wrong, which is reported.
    pub(super) fn rabbitmq(&self, reading: &mut Reading<'_>, object: &Object<'_>) -> Option<RabbitMq> {
        match self.named(reading, object, "rabbitmq")? {
            Target::RabbitMq(broker) => Some(broker.clone()),
            Target::MongoDb(_) => None,
        }
    }

    /// The store that the key `connection` of `object` names, as above.
    pub(super) fn mongodb(&self, reading: &mut Reading<'_>, object: &Object<'_>) -> Option<MongoDb> {
        match self.named(reading, object, "mongodb")? {
            Target::MongoDb(store) => Some(store.clone()),
            Target::RabbitMq(_) => None,
        }
    }

    fn named(&self, reading: &mut Reading<'_>, object: &Object<'_>, kind: &str) -> Option<&Target> {
        let Some(Item { got: Got::Name(name), mark }) = object.get("connection") else { return None };
        match self.names.get(name) {
            Some((first, Some(found))) if *found != kind => {
                let message = format!("`{name}` leads to {found}, not {kind}");
                reading.error(*mark, message, Some(format!("it is at {first}; name a connection with `{kind}`")));
            }
            None if !self.has_nameless => {
                let near = crate::closest(name.as_str(), self.names.keys().map(Name::as_str));
                let hint = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!(
                        "write a document of `kind: Connection` with `name: {name}` and `spec: {{ {kind}: ... }}`"
                    ),
                };
                reading.error(*mark, format!("no connection is called `{name}`"), Some(hint));
            }
            // It has errors, which were reported.
            _ => {}
        }
        self.sound.iter().find(|connection| connection.name == *name).map(|connection| &connection.target)
    }
}

/// Secrets that are named are added with their places.
fn target(reading: &mut Reading<'_>, spec: &Object<'_>, secrets: &mut Vec<(Secret, Place)>) -> Option<Target> {
    if let Some(object) = spec.object("mongodb") {
        return mongodb(reading, object, secrets).map(Target::MongoDb);
    }
    let object = spec.object("rabbitmq")?;
    let password = secret(reading, object, "password", secrets);
    let tls = object.object("tls").map(|object| tls(reading, object, secrets)).unwrap_or_default();
    let url = amqp_url(reading, object);
    if let (Some(url), Some(mark)) = (&url, object.key_mark("tls"))
        && url.scheme == "amqp"
    {
        let message = "`tls` has no effect: the url begins with `amqp://`".to_owned();
        reading.error(mark, message, Some("write `amqps://`, or leave `tls` out".to_owned()));
    }
    Some(Target::RabbitMq(RabbitMq { url: url?, password, tls }))
}

fn amqp_url(reading: &mut Reading<'_>, object: &Object<'_>) -> Option<Url> {
    let Some(Item { got: Got::Text(text), mark }) = object.get("url") else { return None };
    let url = url(reading, text, *mark, &["amqp", "amqps"])?;
    let (message, hint) = if url.hosts.len() > 1 {
        ("it names several hosts", "name one, or a load balancer in front of them")
    } else if url.path.as_deref() == Some("") {
        (
            "it names the virtual host with the empty name",
            "write `/%2f` for the virtual host `/`, or leave the slash out",
        )
    } else if url.path.as_deref().is_some_and(|path| path.contains('/') && path != "/") {
        ("it names a virtual host with a slash", "write `/` within a name as `%2f`")
    } else if !url.query.is_empty() {
        ("it has parameters behind `?`", "leave them out")
    } else if url.user.is_none() && object.has("password") {
        ("it names no user, and there is a password", "write it like `amqp://user@host`")
    } else {
        return Some(url);
    };
    reading.error(*mark, format!("`url`: {message}"), Some(hint.to_owned()));
    None
}

/// Options of MongoDB's URLs that are known. Others would change what is promised: how writes are confirmed, say.
const MONGODB_OPTIONS: [&str; 5] = ["replicaSet", "authSource", "authMechanism", "directConnection", "tls"];

fn mongodb(reading: &mut Reading<'_>, object: &Object<'_>, secrets: &mut Vec<(Secret, Place)>) -> Option<MongoDb> {
    let password = secret(reading, object, "password", secrets);
    let written = object.object("tls").map(|object| tls(reading, object, secrets));
    let url = mongodb_url(reading, object)?;
    let of_url = url.query.iter().find(|(key, _)| key == "tls").map(|(_, value)| value == "true");
    if let (Some(false), Some(mark)) = (of_url, object.key_mark("tls")) {
        let message = "`tls` has no effect: the url says `tls=false`".to_owned();
        reading.error(mark, message, Some("take `tls=false` out of the url, or leave `tls` out".to_owned()));
    }
    let tls = written.or_else(|| (of_url == Some(true)).then(Tls::default));
    Some(MongoDb { url, password, tls })
}

fn mongodb_url(reading: &mut Reading<'_>, object: &Object<'_>) -> Option<Url> {
    let Some(Item { got: Got::Text(text), mark }) = object.get("url") else { return None };
    let url = url(reading, text, *mark, &["mongodb"])?;
    let unknown = url.query.iter().find(|(key, _)| !MONGODB_OPTIONS.contains(&key.as_str()));
    let is_flag = |(key, value): &&(String, String)| {
        ["tls", "directConnection"].contains(&key.as_str()) && !["true", "false"].contains(&value.as_str())
    };
    let (message, hint) = if let Some((key, _)) = unknown {
        let hint = match crate::closest(key, MONGODB_OPTIONS.into_iter()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the options here are {}", MONGODB_OPTIONS.join(", ")),
        };
        (format!("the option `{key}` is not taken"), hint)
    } else if let Some((key, _)) = url.query.iter().find(is_flag) {
        (format!("the option `{key}` is neither true nor false"), format!("write `{key}=true`"))
    } else if url.path.as_deref().is_some_and(|path| path.contains('/')) {
        ("it names a database with a slash".to_owned(), "the path is the database that knows the user".to_owned())
    } else if url.user.is_none() && object.has("password") {
        ("it names no user, and there is a password".to_owned(), "write it like `mongodb://user@host`".to_owned())
    } else {
        return Some(url);
    };
    reading.error(*mark, format!("`url`: {message}"), Some(hint));
    None
}

fn url(reading: &mut Reading<'_>, text: &str, mark: Mark, schemes: &[&str]) -> Option<Url> {
    let parsed = Url::parse(text, schemes);
    parsed.map_err(|error| reading.error(mark, format!("`url`: {}", error.message), Some(error.hint))).ok()
}

fn tls(reading: &mut Reading<'_>, object: &Object<'_>, secrets: &mut Vec<(Secret, Place)>) -> Tls {
    let mut part = |key| secret(reading, object, key, secrets);
    let (ca, cert, key) = (part("ca"), part("cert"), part("key"));
    let missing = match (&cert, &key) {
        (Some(_), None) => Some(("cert", "key")),
        (None, Some(_)) => Some(("key", "cert")),
        _ => None,
    };
    if let Some((written, missing)) = missing.filter(|(_, missing)| object.is_sound(missing))
        && let Some(mark) = object.key_mark(written)
    {
        let message = format!("`{written}` without `{missing}`");
        reading.error(mark, message, Some(format!("write `{missing}` too: mutual TLS needs both")));
    }
    Tls { ca, identity: cert.zip(key) }
}

fn secret(
    reading: &mut Reading<'_>,
    object: &Object<'_>,
    key: &str,
    secrets: &mut Vec<(Secret, Place)>,
) -> Option<Secret> {
    let item = object.get(key)?;
    let Got::Object(written) = &item.got else { return None };
    let secret = match (written.text("env"), written.text("file")) {
        (Some(name), _) => Secret::Env(name.to_owned()),
        (None, Some(path)) => Secret::File(reading.folder().join(path)),
        (None, None) => return None,
    };
    secrets.push((secret.clone(), reading.place(item.mark)));
    Some(secret)
}
