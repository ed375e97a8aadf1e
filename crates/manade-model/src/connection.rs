//! Connections: where a broker or store is, and how to be let in.

use std::path::PathBuf;

use crate::finding::Place;
use crate::pipeline::Name;
use crate::url::Url;

/// A broker or store that several resources use.
#[derive(Debug, Clone, PartialEq)]
pub struct Connection {
    pub name: Name,
    pub target: Target,
    /// Every secret that it names, and where, for who can see whether they are there.
    pub secrets: Vec<(Secret, Place)>,
    /// Of `metadata.name`.
    pub place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    RabbitMq(RabbitMq),
    MongoDb(MongoDb),
}

/// A broker that speaks AMQP 0-9-1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RabbitMq {
    /// `amqp` or `amqps`, of one host, with a user and a virtual host.
    pub url: Url,
    pub password: Option<Secret>,
    pub tls: Tls,
}

/// A server that speaks MongoDB's protocol, or a replica set of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MongoDb {
    /// `mongodb`, of one host or several, with a user, a database that knows the user, and options.
    pub url: Url,
    pub password: Option<Secret>,
    /// `None`: without TLS.
    pub tls: Option<Tls>,
}

/// What a TLS connection trusts and shows; of a connection without TLS nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Certificates that are trusted in place of the system's (PEM).
    pub ca: Option<Secret>,
    /// Certificate chain and private key that are shown (PEM).
    pub identity: Option<(Secret, Secret)>,
}

/// Where a secret is to be had. The secret itself is in no platform file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// An environment variable.
    Env(String),
    /// A file; joined to the folder of the file that names it. A line end at its end does not count.
    File(PathBuf),
}

impl Target {
    /// As the key in the platform file.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RabbitMq(_) => "rabbitmq",
            Self::MongoDb(_) => "mongodb",
        }
    }
}
