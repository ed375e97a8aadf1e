//! Real servers for tests and for trying things out: `cargo xtask services`.
//!
//! A server runs in a folder of its own on a port of its own. Tests start theirs with [`start`] and leave nothing behind;
//! `services up` leaves it running, in a folder of the cache, until `services down`.

mod kafka;
mod mongodb;
mod rabbitmq;
mod s3;

use std::fs::{self, File};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::report::say;
use crate::tools::{Need, Tools};

pub use mongodb::SERVICE as MONGODB;
pub use rabbitmq::SERVICE as RABBITMQ;

/// A server, as data.
pub struct Service {
    pub name: &'static str,
    pub needs: &'static [Need],
    /// Where `services up` has it listen.
    pub port: u16,
    /// What starts it in a place.
    pub command: fn(&Place) -> Result<Command>,
    /// Stands in what it writes once it can be used.
    pub ready: &'static str,
    /// How a client reaches it, for people.
    pub url: fn(u16) -> String,
}

pub const ALL: [&Service; 4] = [&RABBITMQ, &MONGODB, &kafka::SERVICE, &s3::SERVICE];

/// Where a server runs.
pub struct Place {
    pub folder: PathBuf,
    pub port: u16,
    /// Lines of its configuration, or arguments, beside the usual ones.
    pub settings: String,
}

/// A server that runs; it is killed when this is dropped.
pub struct Running {
    child: Child,
    log: PathBuf,
}

/// Machines are slow at times.
const START: Duration = Duration::from_mins(5);

/// Waits until it can be used. What it had stored in this folder is there again.
pub fn start(service: &Service, place: &Place) -> Result<Running> {
    let (mut running, log) = (spawn(service, place)?, place.folder.join("output"));
    let begun = Instant::now();
    while !fs::read_to_string(&log).unwrap_or_default().contains(service.ready) {
        if let Some(status) = running.child.try_wait()? {
            bail!("{} ended with {status}\n{}", service.name, running.output());
        }
        if begun.elapsed() > START {
            bail!("{} was not ready within {} s\n{}", service.name, START.as_secs(), running.output());
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(running)
}

fn spawn(service: &Service, place: &Place) -> Result<Running> {
    fs::create_dir_all(&place.folder).with_context(|| format!("create {}", place.folder.display()))?;
    let log = place.folder.join("output");
    let file = File::create(&log)?;
    let mut command = (service.command)(place)?;
    // What it leaves when it dies is left there too.
    command.current_dir(&place.folder).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
    // With all that it starts itself, so that all of it can be killed.
    let child = command.process_group(0).spawn().with_context(|| format!("start {}", service.name))?;
    Ok(Running { child, log })
}

impl Running {
    pub fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// As `kill -9` does.
    pub fn kill(mut self) -> Result<()> {
        signal("KILL", self.child.id())?;
        self.child.wait()?;
        Ok(())
    }

    /// It says nothing more, and keeps its connections.
    pub fn freeze(&self) -> Result<()> {
        signal("STOP", self.child.id())
    }

    pub fn thaw(&self) -> Result<()> {
        signal("CONT", self.child.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Fails where it has ended already.
        let _ = signal("KILL", self.child.id());
        let _ = self.child.wait();
    }
}

fn signal(name: &str, group: u32) -> Result<()> {
    let status =
        Command::new("kill").args([&format!("-{name}"), "--", &format!("-{group}")]).stderr(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { bail!("process group {group} is not there") }
}

/// `services up`: those of these names, or all.
pub fn up(tools: &Tools, names: &[&str]) -> Result<()> {
    for service in named(names)? {
        for need in service.needs {
            tools.provide(*need).with_context(|| service.name.to_owned())?;
        }
        let folder = folder(tools, service);
        if is_up(service, &folder) {
            say(&format!("{}: runs already, {}", service.name, (service.url)(service.port)));
            continue;
        }
        if listens(service.port) {
            bail!("{}: port {} is taken by another program", service.name, service.port);
        }
        let place = Place { folder: folder.clone(), port: service.port, settings: String::new() };
        let running = start(service, &place)?;
        fs::write(folder.join("group"), running.child.id().to_string())?;
        // It is to stay.
        std::mem::forget(running);
        say(&format!("{}: {}, files in {}", service.name, (service.url)(service.port), folder.display()));
    }
    Ok(())
}

/// `services down`; what they have stored stays.
pub fn down(tools: &Tools, names: &[&str]) -> Result<()> {
    for service in named(names)? {
        let folder = folder(tools, service);
        let file = folder.join("group");
        let Ok(group) = fs::read_to_string(&file) else {
            say(&format!("{}: does not run", service.name));
            continue;
        };
        let group = group.trim().parse()?;
        // It may have ended by itself.
        let _ = signal("TERM", group);
        let begun = Instant::now();
        // One that listens no more may still write.
        while listens(service.port) || runs(group) {
            if begun.elapsed() > START {
                bail!("{} does not end", service.name);
            }
            thread::sleep(Duration::from_millis(50));
        }
        fs::remove_file(file)?;
        say(&format!("{}: stopped", service.name));
    }
    Ok(())
}

pub fn status(tools: &Tools, names: &[&str]) -> Result<()> {
    for service in named(names)? {
        let folder = folder(tools, service);
        if is_up(service, &folder) {
            say(&format!("{}: runs, {}, files in {}", service.name, (service.url)(service.port), folder.display()));
        } else {
            say(&format!("{}: does not run", service.name));
        }
    }
    Ok(())
}

fn named(names: &[&str]) -> Result<Vec<&'static Service>> {
    if names.is_empty() {
        return Ok(ALL.to_vec());
    }
    let find = |name: &&str| {
        let known = || ALL.map(|service| service.name).join(", ");
        ALL.into_iter()
            .find(|service| service.name == *name)
            .with_context(|| format!("no service {name}: there are {}", known()))
    };
    names.iter().map(find).collect()
}

fn folder(tools: &Tools, service: &Service) -> PathBuf {
    tools.cache("services").join(service.name)
}

fn is_up(service: &Service, folder: &Path) -> bool {
    folder.join("group").exists() && listens(service.port)
}

/// The first process of a group.
fn runs(group: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{group}/stat")).unwrap_or_default();
    // Behind its name, which is in brackets; one that nobody has asked for its end is a zombie.
    state.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
}

fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}
