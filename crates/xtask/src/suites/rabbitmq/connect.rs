//! `manade check --connect`: what it says of each thing that can be wrong with a broker.

use anyhow::{Context, Result, ensure};

use super::rig::{PASSWORD, Rig, USER};
use crate::server::free_port;

/// What is wrong, the connection, the queue, and what must be said.
type Case<'a> = (&'static str, String, &'a str, &'static str);

pub fn run(rig: &mut Rig) -> Result<()> {
    let (plain, tls, free) = (rig.broker_port(), rig.tls_port(), free_port()?);
    for user in ["nobody", "outsider"] {
        rig.control(&["add_user", user, PASSWORD])?;
    }
    rig.control(&["set_permissions", "nobody", "^$", "^$", "^$"])?;
    rig.start()?;
    let here = rig.queue();
    let with = |url: String, more: &str| format!("url: {url}\n    password: {{ file: password }}\n{more}");
    let at = |port: u16| with(format!("amqp://{USER}@127.0.0.1:{port}"), "");
    let secure = |more: &str| with(format!("amqps://{USER}@127.0.0.1:{tls}"), more);
    let as_user = |user: &str, vhost: &str| with(format!("amqp://{user}@127.0.0.1:{plain}/{vhost}"), "");
    let cases: [Case; 13] = [
        ("nothing", at(plain), &here, "connection broker: reached"),
        ("the port", at(free), &here, "refuses connections"),
        (
            "the host",
            with(format!("amqp://{USER}@no-such-host.invalid"), ""),
            &here,
            "no-such-host.invalid cannot be resolved",
        ),
        ("the user", as_user("stranger", "%2f"), &here, "check the user in the url, and `password`"),
        ("its permissions", as_user("outsider", "%2f"), &here, "let the user in"),
        ("the virtual host", as_user(USER, "nowhere"), &here, "check the virtual host"),
        ("permissions", as_user("nobody", "%2f"), &here, "let the user read the queue"),
        ("the queue", at(plain), "not-there", "no queue 'not-there'"),
        (
            "nothing, with TLS",
            secure("    tls: { ca: { file: ca.pem }, cert: { file: client.pem }, key: { file: client.key } }\n"),
            &here,
            "connection broker: reached",
        ),
        ("the authority", secure("    tls: { ca: { file: stranger.pem } }\n"), &here, "UnknownIssuer"),
        (
            "no certificate of ours",
            secure("    tls: { ca: { file: ca.pem } }\n"),
            &here,
            "`tls: { cert: ..., key: ... }`",
        ),
        (
            "the key",
            secure("    tls: { ca: { file: ca.pem }, cert: { file: client.pem }, key: { file: server.key } }\n"),
            &here,
            "do not belong together",
        ),
        (
            "TLS where there is none",
            with(format!("amqps://{USER}@127.0.0.1:{plain}"), ""),
            &here,
            "no TLS connection to",
        ),
    ];
    for (wrong, connection, queue, expect) in cases {
        let said = rig.check_connect(&connection, queue).with_context(|| format!("wrong: {wrong}"))?;
        ensure!(said.contains(expect), "wrong: {wrong}; {expect:?} is not in\n{said}");
        ensure!(!said.contains(PASSWORD), "wrong: {wrong}; the password is in\n{said}");
    }
    Ok(())
}
