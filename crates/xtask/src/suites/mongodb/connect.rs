//! `manade check --connect`: what it says of each thing that can be wrong with a store.

use anyhow::{Context, Result, ensure};

use super::rig::{PASSWORD, Rig, USER};
use crate::server::free_port;
use crate::suites::certificates::OURS;

pub fn run(rig: &mut Rig) -> Result<()> {
    let (port, tls, free) = (rig.server_port(), rig.tls_port(), free_port()?);
    rig.append(1, 1)?;
    let with = |url: String, more: &str| format!("url: {url}\n    password: {{ file: password }}\n    {more}");
    let at = |port: u16| with(format!("mongodb://{USER}@127.0.0.1:{port}"), "");
    let secure = |more: &str| with(format!("mongodb://{USER}@127.0.0.1:{tls}"), more);
    let cases = [
        ("nothing", at(port), "connection store: reached"),
        ("the port", at(free), "refuses connections"),
        (
            "the host",
            with(format!("mongodb://{USER}@no-such-host.invalid"), ""),
            "no-such-host.invalid cannot be resolved",
        ),
        ("the user", with(format!("mongodb://stranger@127.0.0.1:{port}"), ""), "does not let the user in"),
        ("nothing, with TLS", secure(OURS), "connection store: reached"),
        ("the authority", secure("tls: { ca: { file: stranger.pem } }"), "UnknownIssuer"),
        ("no certificate of ours", secure("tls: { ca: { file: ca.pem } }"), "`tls: { cert: ..., key: ... }`"),
        (
            "the key",
            secure("tls: { ca: { file: ca.pem }, cert: { file: client.pem }, key: { file: server.key } }"),
            "do not belong together",
        ),
        (
            "TLS where there is none",
            with(format!("mongodb://{USER}@127.0.0.1:{port}/?tls=true"), ""),
            "no TLS connection to",
        ),
        ("no TLS where there is", at(tls), "the port of MongoDB without TLS?"),
    ];
    for (wrong, connection, expect) in cases {
        let said = rig.check_connect(&connection).with_context(|| format!("wrong: {wrong}"))?;
        ensure!(said.contains(expect), "wrong: {wrong}; {expect:?} is not in\n{said}");
        ensure!(!said.contains(PASSWORD), "wrong: {wrong}; the password is in\n{said}");
    }
    Ok(())
}
