//! A way to a server that is cut.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use anyhow::Result;

/// Passes everything on until it is told to cut. It ends when it is dropped, and its connections with it.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

#[derive(Default)]
struct Shared {
    /// Bytes from the server after which a connection is cut; 0: none is.
    limit: AtomicU64,
    cuts: AtomicU64,
    /// What this side says is lost.
    loses: Mutex<Option<Side>>,
    ended: AtomicBool,
}

impl Proxy {
    pub fn start(to: u16) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if own.ended.load(Ordering::Relaxed) {
                    return;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
                let (Ok(client_too), Ok(server_too)) = (client.try_clone(), server.try_clone()) else { continue };
                let (there, back) = (Arc::clone(&own), Arc::clone(&own));
                thread::spawn(move || pass(client_too, server_too, &there, Side::Client));
                thread::spawn(move || pass(server, client, &back, Side::Server));
            }
        });
        Ok(Self { port, shared })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Connections are cut after so many bytes that the server sent.
    pub fn cut_after(&self, bytes: Option<u64>) {
        self.shared.limit.store(bytes.unwrap_or(0), Ordering::Relaxed);
    }

    /// What this side says is lost from now on; connections that have lost something are cut once nothing is lost any more.
    pub fn lose(&self, side: Option<Side>) {
        *self.shared.loses.lock().expect("nobody panics with it") = side;
    }

    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        // Wakes the thread that waits for connections.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, shared: &Shared, speaker: Side) {
    // So that the end is noticed while nothing comes.
    let _ = from.set_read_timeout(Some(Duration::from_millis(200)));
    let (mut buffer, mut passed, mut has_lost) = ([0; 4096], 0, false);
    while !shared.ended.load(Ordering::Relaxed) {
        let loses = || *shared.loses.lock().expect("nobody panics with it") == Some(speaker);
        if has_lost && !loses() {
            break;
        }
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => continue,
            Err(_) => break,
        };
        passed += read as u64;
        let limit = shared.limit.load(Ordering::Relaxed);
        if speaker == Side::Server && limit > 0 && passed > limit {
            shared.cuts.fetch_add(1, Ordering::Relaxed);
            break;
        }
        if loses() {
            has_lost = true;
            continue;
        }
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}
