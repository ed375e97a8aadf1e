//! Talks to a platform: over HTTP to a running `manade up`, or, where none runs, to this process's own server over the
//! stopped platform's data folder, on a port of loopback and for as long as the command lasts. Both answer alike.

use std::error::Error as _;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use manade_run::Offline;
use manade_server::ServerOptions;
use manade_store::OpenError;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use crate::args::Target;
use crate::failure::{Context, Failure};
use crate::stored::StoredPlatform;

#[cfg(test)]
mod tests;

/// Where `up` listens unless it is told otherwise.
pub const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8080);

/// The data folder, from the working directory, unless another is named.
pub const DEFAULT_DATA: &str = ".manade";

/// File in the data folder with the address of the `up` that has it open.
const ADDRESS_FILE: &str = "address";

/// HTTP's status of a server that takes nothing at the moment.
const BUSY: u16 = 503;

/// For an `up` that has its folder locked but does not listen yet, and for other readers of a stopped platform.
const PATIENCE: Duration = Duration::from_secs(2);

pub struct Client {
    agent: ureq::Agent,
    base: String,
    /// Serves a stopped platform; ends with the client.
    local: Option<Runtime>,
}

/// A successful answer.
pub struct Answer {
    /// `None`: nothing has changed since the entity tag that was sent.
    body: Option<ureq::Body>,
    pub etag: Option<String>,
    /// There are more rows than the answer has.
    pub has_more: bool,
}

impl Client {
    /// `--url`, else `--data`, else the environment's MANADE_URL, else `.manade`, else what listens where `up` does by
    /// default.
    pub fn connect(target: &Target) -> Result<Self, Failure> {
        match target.named_url() {
            Some(url) => Self::to(&url),
            None => Self::of_data(target),
        }
    }

    /// The `manade up` that runs over a data folder, where one does, unless another address is named. The folder of a
    /// stopped platform is left alone.
    pub fn running(target: &Target, data: &Path) -> Result<Option<Self>, Failure> {
        if let Some(url) = target.named_url() {
            return Self::to(&url).map(Some);
        }
        let Some(address) = read_address(data) else { return Ok(None) };
        let client = Self::to(&format!("http://{address}"))?;
        // The file of one that was killed stays behind.
        Ok(client.is_manade().then_some(client))
    }

    /// A platform runs behind it.
    pub fn is_live(&self) -> bool {
        self.local.is_none()
    }

    /// `path` with its query.
    pub fn get(&self, path: &str) -> Result<Answer, Failure> {
        self.get_rows(path, "application/json", None)
    }

    pub fn get_rows(&self, path: &str, accept: &str, etag: Option<&str>) -> Result<Answer, Failure> {
        let mut request = self.agent.get(format!("{}{path}", self.base)).header("accept", accept);
        if let Some(etag) = etag {
            request = request.header("if-none-match", etag);
        }
        self.answer(request.call())
    }

    /// Sends JSON; waits for as long as the work takes.
    pub fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let request = self.agent.post(format!("{}{path}", self.base)).header("content-type", "application/json");
        let request = request.config().timeout_recv_response(None).build();
        self.answer(request.send(body.to_string().as_bytes()))?.json()
    }

    /// Sends events to a pipeline, one a line; `false`: it is behind and has taken none of them.
    pub fn ingest(&self, pipeline: &str, lines: &str) -> Result<bool, Failure> {
        let request = self.agent.post(format!("{}/ingest/{}", self.base, segment(pipeline)));
        let response = request.header("content-type", "application/x-ndjson").send(lines.as_bytes());
        if response.as_ref().is_ok_and(|response| response.status() == BUSY) {
            return Ok(false);
        }
        self.answer(response).map(|_| true)
    }

    fn is_manade(&self) -> bool {
        self.get("/health").and_then(Answer::json).is_ok_and(|body| body["status"] == "healthy")
    }

    fn of_data(target: &Target) -> Result<Self, Failure> {
        let data = target.data.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_DATA));
        let began = Instant::now();
        loop {
            let error = match Offline::open(&data) {
                Ok(offline) => return Self::over(offline),
                Err(error) => error,
            };
            match error {
                OpenError::Locked { pid, .. } => {
                    if let Some(address) = read_address(&data) {
                        return Self::to(&format!("http://{address}"));
                    }
                    if began.elapsed() > PATIENCE {
                        return Err(in_use(&data, pid));
                    }
                    std::thread::sleep(Duration::from_millis(50));
                }
                OpenError::Missing { .. } => return Self::without_data(target, &data),
                error => return Err(offline_failure(error)),
            }
        }
    }

    /// No data folder: a platform that was started elsewhere may be listening all the same.
    fn without_data(target: &Target, data: &Path) -> Result<Self, Failure> {
        let client = Self::to(&format!("http://{DEFAULT_ADDRESS}"))?;
        if target.data.is_none() && client.is_manade() {
            return Ok(client);
        }
        let failure = Failure::new(format!("there is no data folder at {}", data.display()));
        Err(failure.with_hint("name it with `--data DIR`, or a running `manade up` with MANADE_URL"))
    }

    fn to(url: &str) -> Result<Self, Failure> {
        let base = url.trim_end_matches('/');
        if !base.starts_with("http://") {
            let failure = Failure::misuse(format!("`{url}` is not an address that manade can call"));
            return Err(failure.with_hint("write it like http://127.0.0.1:8080"));
        }
        Ok(Self { agent: agent(), base: base.to_owned(), local: None })
    }

    fn over(offline: Offline) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener =
            runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))).context("cannot listen on loopback")?;
        let base = format!("http://{}", listener.local_addr()?);
        let backend = Arc::new(StoredPlatform::new(offline));
        // It ends with the runtime, and its failure shows in the requests.
        drop(runtime.spawn(manade_server::serve(listener, backend, ServerOptions::default(), std::future::pending())));
        Ok(Self { agent: agent(), base, local: Some(runtime) })
    }

    fn answer(&self, response: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Result<Answer, Failure> {
        let response = response.context(format!("cannot reach manade at {}", self.base));
        let response = response.map_err(|failure| {
            failure.with_hint(
                "start it with `manade up`; without MANADE_URL, the data folder of a stopped platform is read",
            )
        })?;
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let etag = header("etag");
        let id = header("x-request-id");
        let has_more = header("link").is_some_and(|link| link.contains("rel=\"next\""));
        match status {
            304 => Ok(Answer { body: None, etag, has_more }),
            200..=299 => Ok(Answer { body: Some(response.into_body()), etag, has_more }),
            _ => {
                let failure = refusal(status, response.into_body(), &self.base);
                Err(match id.filter(|_| status == 500) {
                    Some(_) if !self.is_live() => failure.with_hint("`manade up` over this data folder logs the cause"),
                    Some(id) => failure.with_hint(format!("the log of `manade up` has the cause, with the id {id}")),
                    None => failure,
                })
            }
        }
    }
}

impl Target {
    /// `--url`, else the environment's where no data folder is named.
    fn named_url(&self) -> Option<String> {
        self.url.clone().or_else(|| {
            let is_free = self.data.is_none();
            is_free.then(|| std::env::var("MANADE_URL").ok()).flatten().filter(|url| !url.is_empty())
        })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        if let Some(runtime) = self.local.take() {
            runtime.shutdown_background();
        }
    }
}

impl Answer {
    /// False: nothing has changed.
    pub fn is_new(&self) -> bool {
        self.body.is_some()
    }

    pub fn bytes(self) -> Result<Vec<u8>, Failure> {
        let Some(body) = self.body else { return Ok(Vec::new()) };
        body.into_with_config().limit(u64::MAX).read_to_vec().context("the answer broke off")
    }

    pub fn json(self) -> Result<Value, Failure> {
        let bytes = self.bytes()?;
        serde_json::from_slice(&bytes).context("the answer is not JSON: is this a manade server?")
    }

    /// Writes the body as it comes.
    pub fn copy_to(self, out: &mut dyn Write) -> Result<(), Failure> {
        let Some(body) = self.body else { return Ok(()) };
        io::copy(&mut body.into_with_config().limit(u64::MAX).reader(), out).context("the answer broke off")?;
        Ok(())
    }
}

/// Tells other commands where the `up` that has this data folder listens.
pub fn write_address(data: &Path, address: SocketAddr) -> io::Result<()> {
    fs::write(data.join(ADDRESS_FILE), format!("{}\n", reachable(address)))
}

pub fn remove_address(data: &Path) {
    // A stale one is only read while another process has the folder open.
    let _ = fs::remove_file(data.join(ADDRESS_FILE));
}

/// The address by which this machine reaches a listener.
pub fn reachable(address: SocketAddr) -> SocketAddr {
    let mut address = address;
    match address.ip() {
        ip if !ip.is_unspecified() => {}
        ip if ip.is_ipv4() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        _ => address.set_ip(std::net::Ipv6Addr::LOCALHOST.into()),
    }
    address
}

/// A name as a part of a path.
pub fn segment(name: &str) -> String {
    let mut out = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// `?a=b&c=d`, empty where there is nothing.
pub fn query(pairs: &[(String, String)]) -> String {
    if pairs.is_empty() {
        return String::new();
    }
    format!("?{}", form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish())
}

pub fn in_use(data: &Path, pid: Option<u32>) -> Failure {
    let by = pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
    Failure::new(format!("the data folder {} is in use by another manade{by} that serves no HTTP", data.display()))
        .with_hint("wait until it has ended, or stop it")
}

pub fn offline_failure(error: OpenError) -> Failure {
    match error {
        OpenError::Missing { path } => Failure::new(format!("there is no data folder at {}", path.display()))
            .with_hint("name it with `--data DIR`"),
        OpenError::NotAFolder { path } => Failure::new(format!("{} is not a folder", path.display())).with_hint(
            "`--data DIR` is the folder in which `manade up` keeps its rows, `.manade` unless it is told otherwise",
        ),
        // They are one line in a log, what is wrong and then the way out.
        error if error.source().is_none() => match error.to_string().rsplit_once("; ") {
            Some((what, hint)) => Failure::new(what.to_owned()).with_hint(hint),
            None => Failure::from(error),
        },
        error => Failure::from(error),
    }
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .timeout_connect(Some(Duration::from_secs(5)))
        .timeout_recv_response(Some(Duration::from_mins(1)));
    config.build().into()
}

fn read_address(data: &Path) -> Option<SocketAddr> {
    fs::read_to_string(data.join(ADDRESS_FILE)).ok()?.trim().parse().ok()
}

/// What a problem document says, with hints that speak of requests put into commands.
fn refusal(status: u16, body: ureq::Body, base: &str) -> Failure {
    const COMMANDS: [(&str, &str); 2] = [
        ("GET /data lists the collections", "`manade data` lists the collections"),
        ("GET /api/v1/pipelines lists the pipelines", "`manade status` lists the pipelines"),
    ];
    let bytes = body.into_with_config().limit(1 << 20).read_to_vec().unwrap_or_default();
    let problem: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let Some(message) = problem["message"].as_str() else {
        return Failure::new(format!("{base} answered with status {status}")).with_hint("is this a manade server?");
    };
    let failure = match problem["details"].as_str() {
        Some(details) => Failure::new(format!("{message}: {details}")),
        None => Failure::new(message.to_owned()),
    };
    match problem["hint"].as_str() {
        Some(hint) => {
            let known = COMMANDS.iter().find(|(request, _)| *request == hint);
            failure.with_hint(known.map_or(hint, |(_, command)| command))
        }
        None => failure,
    }
}
