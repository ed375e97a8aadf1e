//! RabbitMQ, of Debian's package, as a node of its own beside any that the system runs.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Place, Service};
use crate::server::free_port;
use crate::tools::Need;

pub const SERVICE: Service = Service {
    name: "rabbitmq",
    needs: &[Need::Debian { package: "rabbitmq-server", probe: "rabbitmqctl" }],
    port: 5672,
    command,
    ready: "Server startup complete",
    url: |port| format!("amqp://guest@127.0.0.1:{port}/%2f (password guest)"),
};

/// Debian's own starts as the user `rabbitmq` only.
const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

fn command(place: &Place) -> Result<Command> {
    let Place { folder, port, settings } = place;
    let config = folder.join("rabbitmq.conf");
    // Disk and memory are the tests' matter.
    let text =
        format!("listeners.tcp.1 = 127.0.0.1:{port}\ndisk_free_limit.absolute = 50MB\nlog.console = true\n{settings}");
    fs::write(&config, text).with_context(|| format!("write {}", config.display()))?;
    let mut command = Command::new(PROGRAM);
    let folders = [
        ("HOME", folder.clone()),
        ("RABBITMQ_CONFIG_FILE", config),
        ("RABBITMQ_MNESIA_BASE", folder.join("mnesia")),
        ("RABBITMQ_LOG_BASE", folder.join("log")),
        ("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins")),
        ("RABBITMQ_PLUGINS_EXPAND_DIR", folder.join("expand")),
        ("RABBITMQ_PID_FILE", folder.join("pid")),
    ];
    command.envs(folders).env("RABBITMQ_LOGS", "-").env("RABBITMQ_NODENAME", format!("manade-{port}@localhost"));
    // Erlang's port mapper is one a machine, and stays.
    command.env("RABBITMQ_DIST_PORT", free_port()?.to_string()).env("ERL_EPMD_ADDRESS", "127.0.0.1");
    Ok(command)
}
