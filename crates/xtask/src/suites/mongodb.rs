//! The sink `mongodb` against a real server, through what can happen to either side.
//!
//! Events are appended to a file. What pymongo reads from the server is held against what the results API says, row by row:
//! a lost one is missing, a doubled one is there twice, an old revision differs.

mod connect;
mod rig;

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use self::rig::Rig;
use super::certificates::OPENSSL;
use super::proxy::Proxy;
use super::{Case, Suite, run_cases};
use crate::report::Outcome;
use crate::services::MONGODB;
use crate::tools::{Need, Tools};
use crate::workspace::Workspace;

const PYMONGO: Need = Need::Pip { environment: "pymongo", packages: &["pymongo==4.15.4"] };

pub const SUITE: Suite = Suite { name: "mongodb", needs: &[MONGODB.needs[0], OPENSSL, PYMONGO], run };

const CASES: [Case<Rig>; 12] = [
    ("rows of every kind of result", rows),
    ("a sink that is added later", added),
    ("rows that `retain` drops", dropped),
    ("rows that are refused", refused),
    ("rows at which the server closes the connection", poisoned),
    ("manade killed under load", killed),
    ("the server killed under load", server_killed),
    ("connections cut in the middle", cut),
    ("a server that hangs", hangs),
    ("a wrong password that is mended", password),
    ("TLS with certificates of both sides", tls),
    ("what `check --connect` says", connect::run),
];

fn run(workspace: &Workspace, tools: &Tools) -> Result<Outcome> {
    Ok(run_cases(&mut Rig::new(workspace, tools)?, &CASES))
}

fn rows(rig: &mut Rig) -> Result<()> {
    rig.start()?;
    rig.append(1, 3_000)?;
    rig.expect_same(3_000)?;
    // A query that says it all once more changes nothing.
    rig.kill();
    rig.start()?;
    rig.append(3_001, 3_100)?;
    rig.expect_same(3_100)
}

fn added(rig: &mut Rig) -> Result<()> {
    rig.has_sinks = false;
    rig.start()?;
    rig.append(1, 1_000)?;
    rig.wait_for("events", |rig| Ok(rig.status()?["read"] == 1_000))?;
    rig.kill();
    rig.has_sinks = true;
    rig.start()?;
    rig.expect_same(1_000)?;
    rig.append(1_001, 1_100)?;
    rig.expect_same(1_100)
}

fn dropped(rig: &mut Rig) -> Result<()> {
    // Long keys, so that few rows are more than is kept.
    (rig.key, rig.retain) = ("concat(repeat('k', 4000), id)", "retain: 100 KiB");
    rig.start()?;
    for round in 0..3 {
        rig.append(round * 100 + 1, round * 100 + 100)?;
        rig.wait_for("events", |rig| Ok(rig.status()?["read"] == (round + 1) * 100))?;
    }
    rig.wait_for("rows to be dropped", |rig| Ok(rig.result("each")?["expired"].as_u64() > Some(200)))?;
    rig.expect_same(300)
}

/// A field's name with a dot is refused by FerretDB.
fn refused(rig: &mut Rig) -> Result<()> {
    rig.start()?;
    rig.append_some(1, 500, 100, r#""tags":{"a.b":"c"}"#)?;
    rig.wait_for("all events", |rig| Ok(rig.status()?["read"] == 500))?;
    rig.wait_for("the refused rows", |rig| Ok(rig.status()?["dead_letters"] == 5))?;
    rig.wait_for("the others", |rig| Ok(rig.documents("rows", &["id"])?.len() == 495))?;
    rig.kill();
    rig.start()?;
    rig.append(501, 600)?;
    rig.wait_for("those behind", |rig| Ok(rig.documents("rows", &["id"])?.len() == 595))?;
    let sink = rig.sink("rows")?;
    ensure!(sink["refused"] == 5 && sink["waiting"] == 0, "{sink}");
    let letters = rig.get("/api/v1/pipelines/events/dead-letters?stage=sink")?;
    let reason = letters["dead_letters"][0]["reason"].as_str().unwrap_or_default().to_owned();
    ensure!(reason.starts_with("mongodb:store/") && reason.contains("a.b"), "{reason}");
    ensure!(rig.status()?["dead_letters"] == 5);
    Ok(())
}

/// FerretDB knows no decimals.
fn poisoned(rig: &mut Rig) -> Result<()> {
    rig.start()?;
    rig.append_some(1, 300, 150, r#""amount":1.5"#)?;
    rig.wait_for("the refused rows", |rig| Ok(rig.status()?["dead_letters"] == 2))?;
    rig.append(301, 400)?;
    rig.wait_for("the others", |rig| Ok(rig.documents("rows", &["id"])?.len() == 398))?;
    rig.wait_for("the end of the trouble", |rig| Ok(rig.sink("rows")?["trouble"].is_null()))?;
    let sink = rig.sink("rows")?;
    ensure!(sink["refused"] == 2 && sink["waiting"] == 0, "{sink}");
    let letters = rig.get("/api/v1/pipelines/events/dead-letters?stage=sink")?;
    let reason = letters["dead_letters"][0]["reason"].as_str().unwrap_or_default().to_owned();
    ensure!(reason.ends_with("the server closes the connection when it gets the row"), "{reason}");
    Ok(())
}

fn killed(rig: &mut Rig) -> Result<()> {
    rig.start()?;
    for round in 0..6 {
        rig.append(round * 1_000 + 1, round * 1_000 + 1_000)?;
        rig.wait_for("some documents", |rig| Ok(rig.documents("rows", &["id"])?.len() as u64 > round * 1_000))?;
        rig.kill();
        rig.start()?;
    }
    rig.expect_same(6_000)
}

fn server_killed(rig: &mut Rig) -> Result<()> {
    rig.start()?;
    for round in 0..3 {
        rig.append(round * 2_000 + 1, round * 2_000 + 1_000)?;
        rig.wait_for("some documents", |rig| Ok(rig.documents("rows", &["id"])?.len() as u64 > round * 2_000))?;
        rig.kill_server()?;
        rig.append(round * 2_000 + 1_001, round * 2_000 + 2_000)?;
        rig.wait_for("the outage to be told", |rig| Ok(rig.sink("rows")?["trouble"].is_string()))?;
        // Processing goes on.
        rig.wait_for("events", |rig| Ok(rig.status()?["read"] == (round + 1) * 2_000))?;
        ensure!(rig.status()?["state"] == "running");
        rig.start_server()?;
        rig.wait_for("writing again", |rig| Ok(rig.sink("rows")?["trouble"].is_null()))?;
    }
    rig.expect_same(6_000)
}

/// Each connection dies after some bytes; before that, what the server says is not heard.
fn cut(rig: &mut Rig) -> Result<()> {
    let proxy = Proxy::start(rig.server_port())?;
    rig.server_seen_at(proxy.port());
    rig.start()?;
    rig.append(1, 100)?;
    rig.expect_same(100)?;
    proxy.cut_after(Some(3_000));
    for round in 0..20 {
        rig.append(round * 200 + 101, round * 200 + 300)?;
        std::thread::sleep(Duration::from_millis(100));
    }
    rig.wait_for("cuts", |_| Ok(proxy.cuts() >= 3))?;
    proxy.cut_after(None);
    rig.expect_same(4_100)
}

fn hangs(rig: &mut Rig) -> Result<()> {
    rig.start()?;
    rig.append(1, 500)?;
    rig.expect_same(500)?;
    rig.freeze_server()?;
    rig.append(501, 1_000)?;
    rig.wait_for("the silence to be told", |rig| Ok(rig.sink("rows")?["trouble"].is_string()))?;
    rig.thaw_server()?;
    rig.append(1_001, 1_500)?;
    rig.expect_same(1_500)
}

fn password(rig: &mut Rig) -> Result<()> {
    let file = rig.password_file();
    let right = fs::read_to_string(&file)?;
    fs::write(&file, "hunter2-is-wrong")?;
    rig.start()?;
    rig.append(1, 100)?;
    let is_refused = |rig: &mut Rig| {
        Ok(rig.sink("rows")?["trouble"].as_str().is_some_and(|trouble| trouble.contains("does not let the user in")))
    };
    rig.wait_for("the refusal to be told", is_refused)?;
    fs::write(&file, right)?;
    rig.expect_same(100)?;
    rig.expect_no_secrets(&["hunter2-is-wrong"])
}

fn tls(rig: &mut Rig) -> Result<()> {
    rig.with_tls();
    rig.start()?;
    rig.append(1, 300)?;
    rig.expect_same(300)?;
    let key = rig.read("client.key")?;
    // What is private of a PEM file is its lines.
    let line = key.lines().nth(3).context("the key has lines")?;
    rig.expect_no_secrets(&[line])
}
