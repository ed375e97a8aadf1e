//! HTTP/1.1 clients that keep their connections open: as many requests as go through, or so many a second.
//!
//! At a given rate each request has a moment at which it is due, whether or not the ones before it are answered, and its
//! latency counts from there. So a server that stands still is seen in all requests that had to wait, not in one for each
//! connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

use super::statistics::percentile;

const TIMEOUT: Duration = Duration::from_mins(1);
/// At the beginning, not counted.
const WARM_UP: Duration = Duration::from_secs(1);

pub struct Connection {
    reader: BufReader<TcpStream>,
    /// Of the last answer.
    pub body: Vec<u8>,
}

/// What came of a load.
pub struct Load {
    /// Answered requests in each second.
    pub rate: f64,
    /// In microseconds, sorted.
    latencies: Vec<u32>,
}

/// Which requests are sent, and how.
#[derive(Clone, Copy)]
pub struct Plan<'a> {
    pub port: u16,
    pub connections: usize,
    /// What is measured, after a second to warm up.
    pub time: Duration,
    /// Of every answer.
    pub status: u16,
    /// Writes the request of this number.
    pub request: &'a (dyn Fn(u64, &mut Vec<u8>) + Sync),
}

impl Connection {
    pub fn open(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        Ok(Self { reader: BufReader::new(stream), body: Vec::new() })
    }

    /// The answer's status.
    pub fn send(&mut self, request: &[u8]) -> Result<u16> {
        self.body.clear();
        let mut body = std::mem::take(&mut self.body);
        let status = self.stream(request, |part| {
            body.extend_from_slice(part);
            true
        });
        self.body = body;
        status
    }

    /// Gives the answer's body part by part, until `take` has enough. The answer's status.
    pub fn stream(&mut self, request: &[u8], mut take: impl FnMut(&[u8]) -> bool) -> Result<u16> {
        self.reader.get_mut().write_all(request)?;
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let status = line.split(' ').nth(1).and_then(|code| code.parse().ok()).context("an answer without a status")?;
        let (mut length, mut chunked) = (0, false);
        loop {
            line.clear();
            self.reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().context("content-length")?,
                "transfer-encoding" => chunked = true,
                _ => {}
            }
        }
        if !chunked {
            self.part(length, &mut take)?;
            return Ok(status);
        }
        loop {
            line.clear();
            self.reader.read_line(&mut line)?;
            let size =
                usize::from_str_radix(line.trim_end(), 16).with_context(|| format!("no chunk's size: {line:?}"))?;
            let more = self.part(size, &mut take)?;
            self.reader.read_line(&mut line)?;
            if size == 0 || !more {
                return Ok(status);
            }
        }
    }

    fn part(&mut self, size: usize, take: &mut impl FnMut(&[u8]) -> bool) -> Result<bool> {
        let mut part = vec![0; size];
        self.reader.read_exact(&mut part)?;
        Ok(take(&part))
    }
}

impl Load {
    /// In milliseconds.
    pub fn at(&self, share: f64) -> f64 {
        f64::from(percentile(&self.latencies, share)) / 1000.0
    }
}

impl Plan<'_> {
    /// Each connection sends its next request as soon as it has an answer.
    pub fn saturate(&self) -> Result<Load> {
        self.run(|_, _| Instant::now())
    }

    /// All connections together send so many requests a second.
    pub fn at_rate(&self, rate: f64) -> Result<Load> {
        self.run(|start, number| {
            let due = start + Duration::from_secs_f64(number as f64 / rate);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            due
        })
    }

    /// `due` waits for the moment at which a request is due, and says it.
    fn run(&self, due: impl Fn(Instant, u64) -> Instant + Sync) -> Result<Load> {
        let next = AtomicU64::new(0);
        let start = Instant::now();
        let (begin, end) = (start + WARM_UP, start + WARM_UP + self.time);
        let client = || -> Result<Vec<u32>> {
            let mut connection = Connection::open(self.port)?;
            let (mut request, mut latencies) = (Vec::new(), Vec::new());
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                request.clear();
                (self.request)(number, &mut request);
                let due = due(start, number);
                if due >= end {
                    return Ok(latencies);
                }
                let status = connection.send(&request)?;
                if status != self.status {
                    bail!("answered with {status}: {}", String::from_utf8_lossy(&connection.body));
                }
                if due >= begin {
                    latencies.push(due.elapsed().as_micros() as u32);
                }
            }
        };
        let mut latencies = thread::scope(|scope| -> Result<Vec<u32>> {
            let clients: Vec<_> = (0..self.connections).map(|_| scope.spawn(client)).collect();
            let mut all = Vec::new();
            for client in clients {
                all.extend(client.join().map_err(|_| anyhow!("a client panicked"))??);
            }
            Ok(all)
        })?;
        // The last answers come after the end.
        let seconds = begin.elapsed().as_secs_f64();
        latencies.sort_unstable();
        Ok(Load { rate: latencies.len() as f64 / seconds, latencies })
    }
}

/// A request without a body.
pub fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")
}

#[cfg(test)]
mod tests;
