//! Connections to a broker: over TCP or TLS, with a deadline.
//!
//! lapin can make them itself, but then trusts the system's certificates besides those of `tls.ca`, fails where a system
//! has none, and knows no deadline. So it is given a stream that is connected already.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_compat::Compat;
use async_rs::traits::{Executor, Reactor, RuntimeKit};
use async_rs::util::Task;
use async_rs::{Runtime, Tokio};
use futures::io::{AsyncRead, AsyncWrite};
use futures::stream::Stream;
use lapin::tcp::AsyncTcpStream;
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{Connection, ConnectionProperties};
use manade_model::RabbitMq;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::budget::{Budget, Budgeted};
use super::error::describe;
use crate::reach::{self, Server};
use crate::{ConnectError, secret};

/// Until the broker has let us in.
const CONNECT: Duration = Duration::from_secs(10);
/// A broker that says nothing for twice as long is taken for gone, seconds.
const HEARTBEAT: u16 = 10;

const SERVER: Server = Server { name: "broker", protocol: "AMQP" };

/// `name` is what the broker's tools show; what is received is within the budget.
pub async fn connect(broker: &RabbitMq, name: &str, budget: &Arc<Budget>) -> Result<Connection, ConnectError> {
    let password = broker.password.as_ref().map(secret::text).transpose();
    let password = password.map_err(|e| ConnectError::new(format!("`password`: {e}")))?;
    let stream = timeout(CONNECT, stream(broker)).await.map_err(|_| too_slow(broker, "did not answer"))??;
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let runtime = Runtime::new(Kit(Tokio::default().with_handle(Handle::current())));
    // It is asked for once: lapin connects again only where that was asked for.
    let stream = Budgeted { stream, budget: Arc::clone(budget) };
    let stream = parking_lot::Mutex::new(Some(stream));
    let taken = async move |_, _| match stream.lock().take() {
        Some(stream) => Ok(AsyncTcpStream::Plain(stream)),
        None => Err(io::Error::from(io::ErrorKind::NotConnected).into()),
    };
    let connection = Connection::connector(uri(broker, password), runtime, taken, properties);
    let connection = timeout(CONNECT, connection).await.map_err(|_| too_slow(broker, "did not let us in"))?;
    connection.map_err(|e| describe(&e, broker))
}

fn too_slow(broker: &RabbitMq, what: &str) -> ConnectError {
    ConnectError::new(format!("{} {what} within {} s", broker.url, CONNECT.as_secs()))
        .with_hint("is it up, and is it the port of AMQP?")
}

fn is_tls(broker: &RabbitMq) -> bool {
    broker.url.scheme == "amqps"
}

fn address(broker: &RabbitMq) -> (&str, u16) {
    broker.url.first(if is_tls(broker) { 5671 } else { 5672 })
}

fn uri(broker: &RabbitMq, password: Option<String>) -> AMQPUri {
    let (host, port) = address(broker);
    // Guest is what brokers know without being told.
    let username = broker.url.user.clone().unwrap_or_else(|| "guest".to_owned());
    let password = password.unwrap_or_else(|| if username == "guest" { "guest".to_owned() } else { String::new() });
    AMQPUri {
        scheme: if is_tls(broker) { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
        authority: AMQPAuthority { userinfo: AMQPUserInfo { username, password }, host: host.to_owned(), port },
        vhost: broker.url.path.clone().unwrap_or_else(|| "/".to_owned()),
        query: AMQPQueryString { heartbeat: Some(HEARTBEAT), ..AMQPQueryString::default() },
    }
}

async fn stream(broker: &RabbitMq) -> Result<Box<dyn Duplex>, ConnectError> {
    let (host, port) = address(broker);
    let stream = reach::tcp(&broker.url, host, port, SERVER).await?;
    // Acknowledgements are small and must not wait.
    let _ = stream.set_nodelay(true);
    if !is_tls(broker) {
        return Ok(Box::new(Compat::new(stream)));
    }
    let stream = reach::tls(&broker.url, &broker.tls, host, stream, SERVER).await?;
    Ok(Box::new(Compat::new(stream)))
}

/// What lapin speaks over.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// tokio, with streams that are made here.
#[derive(Debug, Clone)]
struct Kit(Tokio);

impl RuntimeKit for Kit {}

impl Executor for Kit {
    type Task<T: Send + 'static> = <Tokio as Executor>::Task<T>;

    fn block_on<T, F: Future<Output = T>>(&self, future: F) -> T {
        self.0.block_on(future)
    }

    fn spawn<T: Send + 'static, F: Future<Output = T> + Send + 'static>(&self, future: F) -> Task<Self::Task<T>> {
        self.0.spawn(future)
    }

    fn spawn_blocking<T: Send + 'static, F: FnOnce() -> T + Send + 'static>(&self, call: F) -> Task<Self::Task<T>> {
        self.0.spawn_blocking(call)
    }
}

impl Reactor for Kit {
    type TcpStream = Budgeted<Box<dyn Duplex>>;
    type Sleep = <Tokio as Reactor>::Sleep;

    /// Not called: [`connect`] hands a stream over.
    fn register<H: io::Read + io::Write + Send + 'static>(
        &self,
        _: H,
    ) -> io::Result<impl AsyncRead + AsyncWrite + Send + Unpin + 'static> {
        Err::<Self::TcpStream, _>(io::ErrorKind::Unsupported.into())
    }

    fn sleep(&self, time: Duration) -> Self::Sleep {
        self.0.sleep(time)
    }

    fn interval(&self, time: Duration) -> impl Stream<Item = Instant> + Send + 'static {
        self.0.interval(time)
    }

    /// Not called either.
    fn tcp_connect_addr(&self, _: SocketAddr) -> impl Future<Output = io::Result<Self::TcpStream>> + Send + 'static {
        std::future::ready(Err(io::ErrorKind::Unsupported.into()))
    }
}
