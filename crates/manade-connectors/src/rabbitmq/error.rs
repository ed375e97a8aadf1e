//! What the broker refuses, in words.

use std::io;

use lapin::{Error, ErrorKind};
use manade_model::RabbitMq;

use crate::ConnectError;

pub fn describe(error: &Error, broker: &RabbitMq) -> ConnectError {
    let url = &broker.url;
    match error.kind() {
        ErrorKind::ProtocolError(refused) => {
            let (code, text) = (refused.get_id(), refused.get_message().to_string());
            let hint = hint(code, &text).map(str::to_owned);
            ConnectError { reason: format!("{url} says {text}"), hint }
        }
        ErrorKind::MissingHeartbeatError => ConnectError::new(format!("{url} has said nothing for too long")),
        // A broker that wants a certificate says so, and may close the connection before that is read.
        ErrorKind::IOError(e) if is_without_certificate(broker) && (is_end(e) || is_certificate_required(e)) => {
            ConnectError::new(format!("{url} closed the connection"))
                .with_hint("where it asks for a certificate, name one: `tls: { cert: ..., key: ... }`")
        }
        // How brokers turn a wrong password away if a client cannot be told the reason.
        ErrorKind::IOError(e) if is_end(e) => ConnectError::new(format!("{url} closed the connection")),
        // Of a call that came too late.
        ErrorKind::InvalidChannelState(..) | ErrorKind::InvalidConnectionState(_) => {
            ConnectError::new(format!("{url} closed the connection"))
        }
        ErrorKind::IOError(e) => ConnectError::new(format!("the connection to {url} broke: {e}")),
        _ => ConnectError::new(format!("{url}: {error}")),
    }
}

/// The reply code of a refusal.
pub fn code(error: &Error) -> Option<u16> {
    match error.kind() {
        ErrorKind::ProtocolError(refused) => Some(refused.get_id()),
        _ => None,
    }
}

/// By AMQP's reply codes (<https://www.rabbitmq.com/amqp-0-9-1-reference>, constants).
fn hint(code: u16, text: &str) -> Option<&'static str> {
    match code {
        403 if text.contains("Login") => Some("check the user in the url, and `password`"),
        403 if text.contains("exchange") => Some("let the user write to the exchange: rabbitmqctl set_permissions"),
        403 => Some("let the user read the queue: rabbitmqctl set_permissions"),
        404 if text.contains("no exchange") => Some("create the exchange, and bind a queue to it"),
        404 => Some("create the queue, or let Manade do it: `declare: { type: quorum }`"),
        405 => Some("another connection holds it exclusively"),
        406 => Some("the queue is there with other properties than `declare` says"),
        530 if text.contains("refused for user") => Some("let the user in: rabbitmqctl set_permissions"),
        530 if text.contains("vhost") => Some("check the virtual host at the end of the url; `/` is written `%2f`"),
        _ => None,
    }
}

fn is_without_certificate(broker: &RabbitMq) -> bool {
    broker.url.scheme == "amqps" && broker.tls.identity.is_none()
}

fn is_certificate_required(error: &io::Error) -> bool {
    error.to_string().contains("CertificateRequired")
}

fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}
