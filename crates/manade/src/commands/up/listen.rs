//! Where the server listens.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};

use crate::failure::{Context, Failure};

/// Refuses an address that other machines reach, unless it is meant.
pub fn bind(address: SocketAddr, insecure: bool) -> Result<TcpListener, Failure> {
    if !address.ip().is_loopback() && !insecure {
        let failure =
            Failure::misuse(format!("other machines could reach {address}, and there is no TLS and no login yet"));
        return Err(failure.with_hint("listen on 127.0.0.1, or add `--insecure` in a network that you trust"));
    }
    let bound = TcpListener::bind(address).and_then(|listener| {
        listener.set_nonblocking(true)?;
        Ok(listener)
    });
    let kind = bound.as_ref().err().map(std::io::Error::kind);
    bound.context(format!("cannot listen on {address}")).map_err(|failure| {
        let next = SocketAddr::new(address.ip(), address.port().checked_add(1).unwrap_or(0));
        match kind {
            Some(ErrorKind::AddrInUse) => failure.with_hint(format!(
                "something else listens there, perhaps another `manade up`: stop it, or choose another address with `--listen {next}`"
            )),
            Some(ErrorKind::PermissionDenied) => failure.with_hint("choose a port above 1023 with `--listen`"),
            _ => failure.with_hint("choose an address of this machine with `--listen`"),
        }
    })
}
