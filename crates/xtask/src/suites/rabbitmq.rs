//! The source and the sink `rabbitmq` against a real broker, through what can happen to either of them.
//!
//! Events are published by pika, each with an id of its own, and counted by id: a lost one is missing, a doubled one is
//! there twice.

mod connect;
pub mod rig;
mod sink;

use std::fs;

use anyhow::{Context, Result, ensure};

use self::rig::Rig;
use super::certificates::OPENSSL;
use super::proxy::{Proxy, Side};
use super::{Case, Rig as _, Suite, run_cases};
use crate::report::Outcome;
use crate::services::RABBITMQ;
use crate::tools::{Need, Tools};
use crate::workspace::Workspace;

const PIKA: Need = Need::Pip { environment: "pika", packages: &["pika==1.3.2", "zstandard==0.25.0"] };

pub const SUITE: Suite = Suite { name: "rabbitmq", needs: &[RABBITMQ.needs[0], OPENSSL, PIKA], run };

const CASES: [Case<Rig>; 16] = [
    ("messages of every kind", every_kind),
    ("ids in headers and bodies", ids),
    ("manade killed under load", killed),
    ("manade killed while its disk is full", full),
    ("the broker killed under load", broker_killed),
    ("connections cut in the middle", cut),
    ("a broker that hangs", hangs),
    ("a queue deleted and created again", deleted),
    ("a wrong password that is mended", password),
    ("a broker that takes no more for a while", blocked),
    ("TLS with certificates of both sides", tls),
    ("a stream through kills and cuts", stream),
    ("what `manade generate` publishes", generated),
    ("rows sent through kills, cuts and an outage", sink::through_faults),
    ("an exchange that is not there, and has no queue", sink::without_queue),
    ("what `check --connect` says", connect::run),
];

fn run(workspace: &Workspace, tools: &Tools) -> Result<Outcome> {
    Ok(run_cases(&mut Rig::new(workspace, tools)?, &CASES))
}

fn every_kind(rig: &mut Rig) -> Result<()> {
    rig.start_reading()?;
    rig.python("kinds.py", &[])?;
    rig.wait_for("every message", |rig| Ok(rig.status()?["read"] == 15))?;
    ensure!(rig.rows("each?select=id,n&order=id")? == (1..=11).map(|id| format!("{id},1")).collect::<Vec<_>>());
    let dead = rig.status()?["dead_letters"].clone();
    ensure!(dead == 4, "{dead} dead letters");
    let meta = rig.rows("meta?select=message_id,tenant,attempt,list,at,kind,routing_key&message_id=eq.m-9")?;
    ensure!(meta == ["m-9,north,3,,1700000000,flight,".to_owned() + &rig.queue()], "{meta:?}");
    let repeated = rig.status()?["feed"]["repeated"].clone();
    ensure!(repeated == 1, "{repeated} repeated");
    rig.wait_for("acknowledgements", |rig| Ok(rig.status()?["feed"]["unacknowledged"] == 0 && rig.messages()? == 0))
}

/// Each of a hundred events is published twice, and tells it in its own way.
fn ids(rig: &mut Rig) -> Result<()> {
    for (id, script) in [("{ header: event }", "header"), ("{ field: id }", "field")] {
        rig.begin()?;
        rig.id = id;
        rig.start_reading()?;
        rig.python("twice.py", &[script])?;
        rig.wait_for("all", |rig| Ok(rig.status()?["feed"]["received"] == 200 && rig.messages()? == 0))?;
        rig.expect_each(100)?;
        let repeated = rig.status()?["feed"]["repeated"].clone();
        ensure!(repeated == 100, "{repeated} repeated");
    }
    Ok(())
}

fn killed(rig: &mut Rig) -> Result<()> {
    rig.start()?;
    let publisher = rig.publish(1, 6_000)?;
    for seen in [500, 1_500, 3_000, 4_500] {
        rig.wait_for("events", |rig| Ok(rig.events()? >= seen))?;
        rig.kill();
        rig.start()?;
    }
    publisher.wait()?;
    rig.expect_each(6_000)
}

/// What could not be made durable is not acknowledged.
fn full(rig: &mut Rig) -> Result<()> {
    rig.file_limit = Some(128);
    rig.start()?;
    rig.publish(1, 4_000)?.wait()?;
    rig.wait_for("the log to refuse", |rig| Ok(rig.status()?["feed"]["trouble"].is_string() && rig.messages()? > 0))?;
    rig.kill();
    rig.file_limit = None;
    rig.start()?;
    rig.expect_each(4_000)
}

/// The queue is a classic one: a quorum queue of one RabbitMQ 3.10 node now and then finds no leader after that.
fn broker_killed(rig: &mut Rig) -> Result<()> {
    rig.declare = "declare: { type: classic }, ";
    rig.start()?;
    let publisher = rig.publish(1, 4_000)?;
    for seen in [500, 2_000] {
        rig.wait_for("events", |rig| Ok(rig.events()? >= seen))?;
        rig.kill_broker()?;
        rig.wait_for("the outage to be told", |rig| Ok(rig.status()?["state"] == "waiting"))?;
        rig.start_broker()?;
        rig.wait_for("reading again", |rig| Ok(rig.status()?["state"] == "running"))?;
    }
    publisher.wait()?;
    rig.expect_each(4_000)
}

/// First all acknowledgements are lost, then each connection dies after some bytes.
fn cut(rig: &mut Rig) -> Result<()> {
    let proxy = Proxy::start(rig.broker_port())?;
    rig.broker_seen_at(proxy.port());
    rig.start_reading()?;
    proxy.lose(Some(Side::Client));
    rig.publish(1, 400)?.wait()?;
    rig.wait_for("events", |rig| Ok(rig.events()? == 400))?;
    proxy.lose(None);
    rig.wait_for("repetitions", |rig| Ok(rig.status()?["feed"]["repeated"] == 400))?;
    proxy.cut_after(Some(60_000));
    rig.publish(401, 4_000)?.wait()?;
    rig.wait_for("cuts", |_| Ok(proxy.cuts() >= 3))?;
    proxy.cut_after(None);
    rig.expect_each(4_000)
}

fn hangs(rig: &mut Rig) -> Result<()> {
    rig.start()?;
    rig.publish(1, 500)?.wait()?;
    rig.wait_for("events", |rig| Ok(rig.events()? == 500))?;
    rig.freeze_broker()?;
    rig.wait_for("the silence to be told", |rig| Ok(rig.status()?["state"] == "waiting"))?;
    rig.thaw_broker()?;
    rig.publish(501, 1_000)?.wait()?;
    rig.expect_each(1_000)
}

fn deleted(rig: &mut Rig) -> Result<()> {
    rig.start()?;
    rig.publish(1, 200)?.wait()?;
    rig.wait_for("events", |rig| Ok(rig.events()? == 200))?;
    rig.delete_queue()?;
    rig.wait_for("a connection to be made anew", |rig| Ok(rig.log().contains("was deleted")))?;
    rig.publish(201, 400)?.wait()?;
    rig.expect_each(400)
}

fn password(rig: &mut Rig) -> Result<()> {
    let file = rig.password_file();
    let right = fs::read_to_string(&file)?;
    fs::write(&file, "hunter2-is-wrong")?;
    rig.start()?;
    let refused =
        |rig: &mut Rig| Ok(rig.status()?["reason"].as_str().is_some_and(|reason| reason.contains("ACCESS_REFUSED")));
    rig.wait_for("the refusal to be told", refused)?;
    fs::write(&file, right)?;
    rig.wait_for("reading", |rig| Ok(rig.status()?["state"] == "running"))?;
    rig.publish(1, 100)?.wait()?;
    rig.expect_each(100)?;
    rig.expect_no_secrets(&["hunter2-is-wrong"])
}

/// A broker short of memory stops its publishers; what it has is read all the same.
fn blocked(rig: &mut Rig) -> Result<()> {
    rig.start()?;
    let publisher = rig.publish(1, 3_000)?;
    rig.wait_for("events", |rig| Ok(rig.events()? >= 500))?;
    rig.control(&["set_vm_memory_high_watermark", "0.00001"])?;
    rig.wait_for("the queue to be read", |rig| Ok(rig.messages()? == 0))?;
    rig.control(&["set_vm_memory_high_watermark", "0.4"])?;
    publisher.wait()?;
    rig.expect_each(3_000)
}

fn tls(rig: &mut Rig) -> Result<()> {
    rig.with_tls();
    rig.start()?;
    rig.publish(1, 300)?.wait()?;
    rig.expect_each(300)?;
    let key = rig.read("client.key")?;
    // What is private of a PEM file is its lines.
    let line = key.lines().nth(3).context("the key has lines")?;
    rig.expect_no_secrets(&[line])
}

/// With the same seed twice: the messages of the second time are those of the first.
fn generated(rig: &mut Rig) -> Result<()> {
    rig.start_reading()?;
    for _ in 0..2 {
        let said = rig.generate(&["--count", "3000", "--rate", "max", "--seed", "7"])?;
        ensure!(said.contains("3,000 events sent"), "{said}");
    }
    rig.wait_for("all", |rig| Ok(rig.status()?["feed"]["received"] == 6_000 && rig.messages()? == 0))?;
    rig.expect_each(3_000)?;
    let repeated = rig.status()?["feed"]["repeated"].clone();
    ensure!(repeated == 3_000, "{repeated} repeated");
    Ok(())
}

/// Read as another queue it would lose messages without a word. Its messages have no ids that are looked at.
fn stream(rig: &mut Rig) -> Result<()> {
    rig.python("declare.py", &["stream"])?;
    (rig.declare, rig.id) = ("", "");
    rig.start()?;
    rig.wait_for("the refusal to be told", |rig| {
        Ok(rig.status()?["reason"].as_str().is_some_and(|reason| reason.contains("is a stream")))
    })?;
    rig.publish(1, 1_000)?.wait()?;
    ensure!(rig.events()? == 0);
    rig.kill();
    let proxy = Proxy::start(rig.broker_port())?;
    rig.broker_seen_at(proxy.port());
    rig.declare = "from: first, ";
    rig.start()?;
    rig.expect_events(1_000)?;
    let publisher = rig.publish(1_001, 6_000)?;
    for seen in [2_000, 3_000, 4_000] {
        rig.wait_for("events", |rig| Ok(rig.events()? >= seen))?;
        rig.kill();
        rig.start()?;
    }
    publisher.wait()?;
    rig.expect_events(6_000)?;
    proxy.lose(Some(Side::Client));
    rig.publish(6_001, 6_300)?.wait()?;
    rig.wait_for("events", |rig| Ok(rig.events()? == 6_300))?;
    proxy.lose(None);
    proxy.cut_after(Some(60_000));
    rig.publish(6_301, 9_000)?.wait()?;
    rig.wait_for("cuts", |_| Ok(proxy.cuts() >= 3))?;
    proxy.cut_after(None);
    rig.expect_events(9_000)?;
    rig.kill();
    rig.publish(9_001, 9_100)?.wait()?;
    rig.start()?;
    rig.expect_events(9_100)
}
