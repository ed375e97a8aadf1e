//! The way to a server, and what is wrong with it.

use std::io;

use manade_model::Tls;
use manade_model::url::Url;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::{ConnectError, tls};

/// What messages call it.
#[derive(Clone, Copy)]
pub struct Server {
    pub name: &'static str,
    pub protocol: &'static str,
}

pub async fn tcp(url: &Url, host: &str, port: u16, server: Server) -> Result<TcpStream, ConnectError> {
    TcpStream::connect((host, port)).await.map_err(|error| unreachable(url, host, server, &error))
}

pub async fn tls(
    url: &Url,
    tls: &Tls,
    host: &str,
    stream: TcpStream,
    server: Server,
) -> Result<TlsStream<TcpStream>, ConnectError> {
    let connector = tls::connector(tls)?;
    let name =
        ServerName::try_from(host.to_owned()).map_err(|_| ConnectError::new(format!("{host} is no name for TLS")))?;
    connector.connect(name, stream).await.map_err(|error| tls_error(url, server, &error))
}

fn unreachable(url: &Url, host: &str, server: Server, error: &io::Error) -> ConnectError {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => ConnectError::new(format!("{url} refuses connections"))
            .with_hint(format!("is the {} up, and is this its port?", server.name)),
        // Of names that cannot be resolved, the standard library tells no kind.
        _ if error.raw_os_error().is_none() => {
            ConnectError::new(format!("the name {host} cannot be resolved")).with_hint("check the host of the url")
        }
        _ => ConnectError::new(format!("{url} cannot be reached: {error}")),
    }
}

fn tls_error(url: &Url, server: Server, error: &io::Error) -> ConnectError {
    let hint = if error.to_string().contains("UnknownIssuer") {
        format!("name the {}'s authority with `tls: {{ ca: {{ file: ca.pem }} }}`", server.name)
    } else {
        format!("is this the port of {} over TLS, and is the certificate of this host?", server.protocol)
    };
    ConnectError::new(format!("no TLS connection to {url}: {error}")).with_hint(hint)
}
