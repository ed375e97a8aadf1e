//! Clients of a store, and commands with a deadline.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use bson::Document;
use bson::raw::RawDocumentBuf;
use manade_model::{MongoDb, Secret, Tls};
use mongodb::options::{AuthMechanism, ClientOptions, Credential, ServerAddress, TlsOptions};
use mongodb::{Client, Database};
use tempfile::NamedTempFile;
use tokio::time::timeout;

use super::error::Failure;
use crate::reach::{self, Server};
use crate::{ConnectError, secret};

/// Until a server is found and has let us in.
const CONNECT: Duration = Duration::from_secs(10);
/// Until a server has answered; behind [`CONNECT`], which says more.
pub const ANSWER: Duration = Duration::from_secs(15);
const PORT: u16 = 27017;
const SERVER: Server = Server { name: "server", protocol: "MongoDB" };

/// That one of the hosts is there, and speaks TLS where it is to: the driver does not tell apart why none is.
pub async fn reach(store: &MongoDb) -> Result<(), ConnectError> {
    let mut first = None;
    for host in &store.url.hosts {
        let reached = timeout(CONNECT, reach_host(store, &host.name, host.port.unwrap_or(PORT))).await;
        match reached.unwrap_or_else(|_| Err(too_slow(store))) {
            Ok(()) => return Ok(()),
            Err(error) => _ = first.get_or_insert(error),
        }
    }
    first.map_or(Ok(()), Err)
}

async fn reach_host(store: &MongoDb, host: &str, port: u16) -> Result<(), ConnectError> {
    let stream = reach::tcp(&store.url, host, port, SERVER).await?;
    if let Some(tls) = &store.tls {
        reach::tls(&store.url, tls, host, stream, SERVER).await?;
    }
    Ok(())
}

pub fn too_slow(store: &MongoDb) -> ConnectError {
    let how = if store.tls.is_some() { "over" } else { "without" };
    ConnectError::new(format!("{} did not answer within {} s", store.url, CONNECT.as_secs()))
        .with_hint(format!("is it up, and is it the port of MongoDB {how} TLS?"))
}

/// Does not connect yet. Belongs on the runtime.
pub fn connect(store: &MongoDb, name: &str) -> Result<Client, ConnectError> {
    let url = &store.url;
    let option = |key: &str| url.query.iter().find(|(known, _)| known == key).map(|(_, value)| value.clone());
    let mut options = ClientOptions::default();
    let address = |host: &manade_model::url::Host| ServerAddress::Tcp { host: host.name.clone(), port: host.port };
    options.hosts = url.hosts.iter().map(address).collect();
    options.app_name = Some(name.to_owned());
    options.connect_timeout = Some(CONNECT);
    options.server_selection_timeout = Some(CONNECT);
    options.repl_set_name = option("replicaSet");
    options.direct_connection = option("directConnection").map(|value| value == "true");
    options.credential = credential(store, option("authSource"), option("authMechanism"))?;
    // The driver reads them while it makes the client.
    let mut files = Vec::new();
    if let Some(tls) = &store.tls {
        options.tls = Some(mongodb::options::Tls::Enabled(tls_options(tls, &mut files)?));
    }
    let client = Client::with_options(options);
    drop(files);
    client.map_err(|error| ConnectError::new(format!("{url}: {error}")))
}

/// Sends a command, which asks for a confirmed write itself where it is one.
pub async fn command(database: &Database, command: RawDocumentBuf, limit: Duration) -> Result<Document, Failure> {
    match timeout(limit, database.run_raw_command(command)).await {
        Ok(answer) => answer.map_err(Failure::of),
        Err(_) => Err(Failure::NoAnswer(limit)),
    }
}

fn credential(
    store: &MongoDb,
    source: Option<String>,
    mechanism: Option<String>,
) -> Result<Option<Credential>, ConnectError> {
    let mechanism = mechanism.map(|name| name.parse::<AuthMechanism>()).transpose();
    let mechanism = mechanism.map_err(|error| ConnectError::new(format!("`authMechanism`: {error}")))?;
    if store.url.user.is_none() && mechanism.is_none() {
        return Ok(None);
    }
    let password = store.password.as_ref().map(secret::text).transpose();
    let mut credential = Credential::default();
    credential.username.clone_from(&store.url.user);
    credential.password = password.map_err(|e| ConnectError::new(format!("`password`: {e}")))?;
    credential.source = source.or_else(|| store.url.path.clone().filter(|path| !path.is_empty()));
    credential.mechanism = mechanism;
    Ok(Some(credential))
}

/// The driver knows files only.
fn tls_options(tls: &Tls, files: &mut Vec<NamedTempFile>) -> Result<TlsOptions, ConnectError> {
    let mut options = TlsOptions::default();
    options.ca_file_path = match &tls.ca {
        Some(ca) => Some(file(&[("ca", ca)], files)?),
        None => None,
    };
    options.cert_key_file_path = match &tls.identity {
        Some((cert, key)) => Some(file(&[("cert", cert), ("key", key)], files)?),
        None => None,
    };
    Ok(options)
}

/// One that nobody else can read, and that goes with `files`.
fn file(parts: &[(&str, &Secret)], files: &mut Vec<NamedTempFile>) -> Result<PathBuf, ConnectError> {
    let failed = |e: std::io::Error| ConnectError::new(format!("a temporary file for `tls` cannot be written: {e}"));
    let mut file = NamedTempFile::new().map_err(failed)?;
    for (key, part) in parts {
        let pem = secret::reveal(part).map_err(|e| ConnectError::new(format!("`tls.{key}`: {e}")))?;
        file.write_all(pem.bytes()).and_then(|()| file.write_all(b"\n")).map_err(failed)?;
    }
    let path = file.path().to_owned();
    files.push(file);
    Ok(path)
}
