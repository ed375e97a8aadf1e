//! Settings of the server; the defaults are those of docs/results-api.md.

use std::time::Duration;

#[derive(Debug, Clone)]
pub struct ServerOptions {
    /// Bytes of a request's body as it comes.
    pub max_body: u64,
    /// Bytes of a request's body once it is unpacked.
    pub max_unpacked: u64,
    /// Bytes of a request's line and headers.
    pub max_headers: usize,
    /// How long a client may take over its headers, and how long its body or its reading of the answer may stand still.
    pub stall: Duration,
    /// Connections at one time; further ones wait to be accepted.
    pub max_connections: usize,
    /// Queries that read rows at one time; further ones wait.
    pub max_queries: usize,
    /// Bytes that all sorts together may take.
    pub query_memory: usize,
    /// How long open requests may take once the server stops.
    pub drain: Duration,
    /// Origins that browsers may call from, `*` for all; none by default.
    pub cors: Vec<String>,
    /// Whether only requests for a loopback name are answered: protects a server on loopback from pages that point a
    /// name of their own at it.
    pub check_host: bool,
    /// Further names that `check_host` lets through.
    pub hosts: Vec<String>,
    /// Between comments that keep a change feed's connection open.
    pub heartbeat: Duration,
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self {
            max_body: 64 << 20,
            max_unpacked: 256 << 20,
            max_headers: 32 << 10,
            stall: Duration::from_secs(30),
            max_connections: 1_024,
            max_queries: 32,
            query_memory: 256 << 20,
            drain: Duration::from_secs(5),
            cors: Vec::new(),
            check_host: true,
            hosts: Vec::new(),
            heartbeat: Duration::from_secs(15),
        }
    }
}
