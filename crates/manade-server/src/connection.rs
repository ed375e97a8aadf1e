//! Connections: how many, how large their headers, how slow their clients, and how they end.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep};
use tower::ServiceExt;

use crate::app::App;
use crate::options::ServerOptions;

/// Before the next try where the system has no file descriptor left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

pub async fn serve(
    listener: TcpListener,
    router: Router,
    app: Arc<App>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let mut connections = JoinSet::new();
    let permits = Arc::new(Semaphore::new(app.options.max_connections));
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = async {
            // Never closed; and without a permit nothing is accepted, so that clients wait in the system's queue.
            let permit = Arc::clone(&permits).acquire_owned().await.map_err(io::Error::other)?;
            listener.accept().await.map(|(stream, _)| (stream, permit))
        };
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = accepted => match accepted {
                Ok((stream, permit)) => {
                    let (router, options, stop) = (router.clone(), app.options.clone(), app.stop.subscribe());
                    let open = app.metrics.connections.clone();
                    connections.spawn(async move {
                        let _permit = permit;
                        open.inc();
                        connection(stream, router, &options, stop).await;
                        open.dec();
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    app.stop.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(app.options.drain, drained).await.is_err() {
        tracing::warn!("requests were still open at the end of the drain time");
        connections.shutdown().await;
    }
    Ok(())
}

async fn connection(stream: TcpStream, router: Router, options: &ServerOptions, mut stop: watch::Receiver<bool>) {
    // Small answers must not wait for more to send; a socket that refuses this works all the same.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request: Request<Incoming>| router.clone().oneshot(request.map(Body::new)));
    let io = TokioIo::new(Paced::new(stream, options.stall));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(options.stall)
        .max_header_size(options.max_headers)
        .serve_connection(io, service);
    let mut connection = std::pin::pin!(connection);
    let stopped = async { stop.wait_for(|stopped| *stopped).await.map(|_| ()) };
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = stopped => None,
    };
    let ended = if let Some(ended) = ended {
        ended
    } else {
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// A stream whose writes fail when the other side takes nothing for too long, and whose request lines may have the
/// characters of PostgREST's grammar that a URI must not have: curl sends `select=a->b` as it is written.
struct Paced {
    stream: TcpStream,
    stall: Duration,
    /// Since a write could not go on.
    waiting: Option<Pin<Box<Sleep>>>,
    at: At,
    /// Read and not handed on yet.
    encoded: VecDeque<u8>,
}

/// Where in its requests a connection is read.
enum At {
    RequestLine,
    /// In the lines behind it; the beginning of the present one.
    Headers(Vec<u8>),
    /// From the first request with a body on, where requests begin is not looked for.
    Rest,
}

/// As many bytes of a header's line tell whether a body follows.
const TELLING: usize = 18;

impl At {
    fn next(&mut self, byte: u8) {
        match self {
            Self::RequestLine if byte == b'\n' => *self = Self::Headers(Vec::new()),
            Self::Headers(line) if byte == b'\n' => {
                let has = |name: &[u8]| line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
                if has(b"content-length:") || has(b"transfer-encoding:") {
                    *self = Self::Rest;
                } else if line.is_empty() || line == b"\r" {
                    *self = Self::RequestLine;
                } else {
                    line.clear();
                }
            }
            Self::Headers(line) if line.len() < TELLING => line.push(byte),
            Self::RequestLine | Self::Headers(_) | Self::Rest => {}
        }
    }
}

impl Paced {
    fn new(stream: TcpStream, stall: Duration) -> Self {
        Self { stream, stall, waiting: None, at: At::RequestLine, encoded: VecDeque::new() }
    }

    fn encode(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match (byte, &self.at) {
                (b'"', At::RequestLine) => self.encoded.extend(b"%22"),
                (b'<', At::RequestLine) => self.encoded.extend(b"%3C"),
                (b'>', At::RequestLine) => self.encoded.extend(b"%3E"),
                _ => self.encoded.push_back(*byte),
            }
            self.at.next(*byte);
        }
    }

    fn paced<T>(&mut self, context: &mut Context<'_>, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            self.waiting = None;
            return poll;
        }
        let stall = self.stall;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(Instant::now() + stall)));
        match waiting.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl AsyncRead for Paced {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, to: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let is_rest = matches!(self.at, At::Rest);
        if !is_rest && self.encoded.is_empty() {
            let mut bytes = [0; 4096];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
            self.encode(read.filled());
        }
        if self.encoded.is_empty() {
            // What was looked at had no byte: the end of the stream.
            return if is_rest { Pin::new(&mut self.stream).poll_read(context, to) } else { Poll::Ready(Ok(())) };
        }
        let len = to.remaining().min(self.encoded.len());
        let bytes: Vec<u8> = self.encoded.drain(..len).collect();
        to.put_slice(&bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Paced {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write(context, from);
        self.paced(context, poll)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let poll = Pin::new(&mut self.stream).poll_write_vectored(context, from);
        self.paced(context, poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_flush(context);
        self.paced(context, poll)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let poll = Pin::new(&mut self.stream).poll_shutdown(context);
        self.paced(context, poll)
    }
}
