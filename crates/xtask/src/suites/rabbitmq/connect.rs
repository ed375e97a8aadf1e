//! `manade check --connect`: what it says of each thing that can be wrong with a broker.

use anyhow::{Context, Result, ensure};

use super::rig::{PASSWORD, Rig, USER};
use crate::server::free_port;
use crate::suites::certificates::OURS;

/// What is wrong, the connection, and what must be said.
type Case<'a> = (&'a str, String, &'static str);

/// A sink that every broker has, and every user of the tests may write to who may write to anything.
const SINK: &str = "exchange: amq.topic, routingKey: a";

pub fn run(rig: &mut Rig) -> Result<()> {
    let (plain, tls, free) = (rig.broker_port(), rig.tls_port(), free_port()?);
    for user in ["nobody", "outsider"] {
        rig.control(&["add_user", user, PASSWORD])?;
    }
    rig.control(&["set_permissions", "nobody", "^$", "^$", "^$"])?;
    // Creates the queue.
    rig.start_reading()?;
    let here = format!("queue: {}", rig.queue());
    let with = |url: String, more: &str| format!("url: {url}\n    password: {{ file: password }}\n    {more}\n");
    let at = |port: u16| with(format!("amqp://{USER}@127.0.0.1:{port}"), "");
    let secure = |more: &str| with(format!("amqps://{USER}@127.0.0.1:{tls}"), more);
    let as_user = |user: &str, vhost: &str| with(format!("amqp://{user}@127.0.0.1:{plain}/{vhost}"), "");
    let connections: [Case; 12] = [
        ("nothing", at(plain), "connection broker: reached"),
        ("the port", at(free), "refuses connections"),
        (
            "the host",
            with(format!("amqp://{USER}@no-such-host.invalid"), ""),
            "no-such-host.invalid cannot be resolved",
        ),
        ("the user", as_user("stranger", "%2f"), "check the user in the url, and `password`"),
        ("its permissions", as_user("outsider", "%2f"), "let the user in"),
        ("the virtual host", as_user(USER, "nowhere"), "check the virtual host"),
        ("permissions", as_user("nobody", "%2f"), "let the user read the queue"),
        ("nothing, with TLS", secure(OURS), "connection broker: reached"),
        ("the authority", secure("tls: { ca: { file: stranger.pem } }"), "UnknownIssuer"),
        ("no certificate of ours", secure("tls: { ca: { file: ca.pem } }"), "`tls: { cert: ..., key: ... }`"),
        (
            "the key",
            secure("tls: { ca: { file: ca.pem }, cert: { file: client.pem }, key: { file: server.key } }"),
            "do not belong together",
        ),
        ("TLS where there is none", with(format!("amqps://{USER}@127.0.0.1:{plain}"), ""), "no TLS connection to"),
    ];
    for (wrong, connection, expect) in connections {
        says(rig, wrong, &connection, (&here, SINK), expect)?;
    }
    let nobody = as_user("nobody", "%2f");
    for (wrong, connection, (source, sink), expect) in [
        ("the queue", at(plain), ("queue: not-there", SINK), "no queue 'not-there'"),
        ("the exchange", at(plain), (&here, "exchange: not-there, routingKey: a"), "create the exchange"),
        ("the sink's queue", at(plain), (&here, "routingKey: not-there"), "no queue 'not-there'"),
        ("permission to write", nobody, (&here, SINK), "let the user write to the exchange"),
    ] {
        says(rig, wrong, &connection, (source, sink), expect)?;
    }
    // What was asked for was no message.
    ensure!(rig.messages()? == 0);
    Ok(())
}

fn says(rig: &Rig, wrong: &str, connection: &str, (source, sink): (&str, &str), expect: &str) -> Result<()> {
    let source = format!("rabbitmq: {{ connection: broker, {source} }}");
    let sinks = format!("[rabbitmq: {{ connection: broker, {sink} }}]");
    let said = rig.check_connect(connection, &source, &sinks).with_context(|| format!("wrong: {wrong}"))?;
    ensure!(said.contains(expect), "wrong: {wrong}; {expect:?} is not in\n{said}");
    ensure!(!said.contains(PASSWORD), "wrong: {wrong}; the password is in\n{said}");
    Ok(())
}
