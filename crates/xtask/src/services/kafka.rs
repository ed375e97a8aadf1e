//! Kafka, one node that is broker and controller.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Place, Service};
use crate::process;
use crate::server::free_port;
use crate::tools::{JAVA, Need, Tools};

pub const SERVICE: Service = Service {
    name: "kafka",
    needs: &[JAVA, Need::Maven { folder: FOLDER, artifacts: &["org.apache.kafka:kafka_2.13:4.1.1", LOG4J] }],
    port: 9092,
    command,
    ready: "Kafka Server started",
    url: |port| format!("127.0.0.1:{port}"),
};

const FOLDER: &str = "kafka";
/// Kafka's library says nothing without it.
const LOG4J: &str = "org.apache.logging.log4j:log4j-slf4j-impl:2.24.3";
/// Any, as there is one cluster a folder.
const CLUSTER: &str = "bWFuYWRlLXRlc3RzLTAwMQ";
const FORMAT: Duration = Duration::from_mins(2);

/// What the node says goes to its output, where it is looked for.
const LOGGING: &str = "status = error
appender.console.type = Console
appender.console.name = out
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %m (%c)%n
rootLogger.level = info
rootLogger.appenderRef.out.ref = out
";

fn command(place: &Place) -> Result<Command> {
    let Place { folder, port, settings } = place;
    let controller = free_port()?;
    let data = folder.join("data");
    let properties = folder.join("server.properties");
    let text = format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\ncontroller.listener.names=CONTROLLER\nlog.dirs={}\n\
         offsets.topic.replication.factor=1\ntransaction.state.log.replication.factor=1\n\
         transaction.state.log.min.isr=1\ngroup.initial.rebalance.delay.ms=0\n{settings}",
        data.display()
    );
    fs::write(&properties, text).with_context(|| format!("write {}", properties.display()))?;
    fs::write(folder.join("log4j2.properties"), LOGGING)?;
    if !data.join("meta.properties").exists() {
        let mut format = java(folder, "kafka.tools.StorageTool")?;
        format.args(["format", "--cluster-id", CLUSTER, "--config"]).arg(&properties).stdin(Stdio::null());
        let finished = process::run(&mut format, FORMAT)?;
        ensure!(finished.status.success(), "kafka's folder cannot be made\n{}", finished.output);
    }
    let mut command = java(folder, "kafka.Kafka")?;
    command.arg(properties);
    Ok(command)
}

fn java(folder: &Path, class: &str) -> Result<Command> {
    let jars = Tools::new(false)?.maven_folder(FOLDER).join("*");
    let mut command = Command::new("java");
    // A small heap is enough for what tests send.
    command.args(["-Xms256m", "-Xmx512m", "-cp"]).arg(jars);
    command.arg(format!("-Dlog4j2.configurationFile={}", folder.join("log4j2.properties").display())).arg(class);
    Ok(command)
}
