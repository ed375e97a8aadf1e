//! What the server refuses: for a while, for good, or one document of many.

use std::time::Duration;

use bson::{Bson, Document};
use manade_model::MongoDb;
use mongodb::error::{Error, ErrorKind};

use crate::ConnectError;

/// Why a command was not carried out.
#[derive(Debug)]
pub enum Failure {
    /// The server was not found, or the connection broke.
    Unreached(Error),
    NoAnswer(Duration),
    /// It is written on too few servers.
    Unconfirmed(String),
    /// The server said no, with its code.
    Refused {
        code: i32,
        message: String,
    },
}

/// What an error of one document means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is there already, or in a newer revision.
    There,
    /// It may work later.
    Later,
    /// Never.
    Never,
}

/// Codes of what passes by itself or is mended outside: elections, shutdowns, locks, permissions, a full disk, what FerretDB
/// says when its own store is busy (<https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml>).
const LATER: [i32; 34] = [
    1, 6, 7, 8, 11, 13, 18, 24, 43, 46, 50, 64, 79, 89, 91, 100, 112, 117, 133, 134, 175, 189, 202, 246, 262, 317,
    9001, 10107, 11600, 11602, 13388, 13435, 13436, 14031,
];
const DUPLICATE: i32 = 11000;
const UNAUTHORIZED: i32 = 13;
const AUTHENTICATION_FAILED: i32 = 18;

impl Failure {
    pub fn of(error: Error) -> Self {
        match error.kind.as_ref() {
            ErrorKind::Command(refused) => Self::Refused { code: refused.code, message: refused.message.clone() },
            _ => Self::Unreached(error),
        }
    }

    /// Whether the server will never take what was sent.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused { code, .. } if !LATER.contains(code))
    }

    /// Whether the connection broke, maybe at what was sent.
    pub fn is_break(&self) -> bool {
        matches!(self, Self::Unreached(error) if matches!(error.kind.as_ref(), ErrorKind::Io(_)))
    }

    /// As the server says it.
    pub fn reason(&self) -> String {
        match self {
            Self::Refused { message, .. } | Self::Unconfirmed(message) => message.clone(),
            Self::Unreached(error) => error.to_string(),
            Self::NoAnswer(limit) => format!("no answer within {} s", limit.as_secs()),
        }
    }

    /// In words, without the contents of documents.
    pub fn trouble(&self, store: &MongoDb) -> ConnectError {
        let url = &store.url;
        match self {
            Self::NoAnswer(limit) => ConnectError::new(format!("{url} did not answer within {} s", limit.as_secs())),
            Self::Unconfirmed(why) => ConnectError::new(format!("{url}: {why}")),
            Self::Refused { code: UNAUTHORIZED, .. } => {
                ConnectError::new(format!("{url} does not let the user write there"))
                    .with_hint("give the user the role readWrite on the sink's database")
            }
            Self::Refused { code: AUTHENTICATION_FAILED, .. } => not_let_in(store),
            Self::Refused { code, message } => ConnectError::new(format!("{url} says {message} (code {code})")),
            Self::Unreached(error) => match error.kind.as_ref() {
                ErrorKind::Authentication { .. } => not_let_in(store),
                // It says so once the connection is there, and then closes it.
                _ if error.to_string().contains("CertificateRequired") => {
                    ConnectError::new(format!("{url} asks for a certificate"))
                        .with_hint("name one: `tls: { cert: ..., key: ... }`")
                }
                ErrorKind::ServerSelection { .. } if store.url.query.iter().any(|(key, _)| key == "replicaSet") => {
                    ConnectError::new(format!("{url} has no primary that can be reached")).with_hint(
                        "is `replicaSet` its name, and can the hosts that it names itself be reached from here?",
                    )
                }
                ErrorKind::ServerSelection { .. } => super::client::too_slow(store),
                ErrorKind::Io(e) => ConnectError::new(format!("the connection to {url} broke: {e}")),
                ErrorKind::ConnectionPoolCleared { .. } => ConnectError::new(format!("the connection to {url} broke")),
                _ => ConnectError::new(format!("{url}: {error}")),
            },
        }
    }
}

fn not_let_in(store: &MongoDb) -> ConnectError {
    ConnectError::new(format!("{} does not let the user in", store.url))
        .with_hint("check the user in the url, `password`, and the database that knows the user (`authSource`)")
}

/// Of an error of one document in the answer to a write.
pub fn verdict(error: &Document) -> Verdict {
    let code = number(error, "code").unwrap_or_default();
    match i32::try_from(code) {
        Ok(DUPLICATE) if is_of_id(error) => Verdict::There,
        Ok(code) if LATER.contains(&code) => Verdict::Later,
        _ => Verdict::Never,
    }
}

/// Whether it is the `_id` that is there already, and not a value of an index that the user has made unique.
fn is_of_id(error: &Document) -> bool {
    if let Ok(pattern) = error.get_document("keyPattern") {
        return pattern.keys().eq(["_id"]);
    }
    let message = error.get_str("errmsg").unwrap_or_default();
    !message.contains("index:") || message.contains("index: _id_")
}

pub fn number(document: &Document, key: &str) -> Option<i64> {
    match document.get(key)? {
        Bson::Int32(number) => Some((*number).into()),
        Bson::Int64(number) => Some(*number),
        Bson::Double(number) => Some(*number as i64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use bson::doc;

    use super::*;

    #[test]
    fn errors_of_documents() {
        let cases = [
            (doc! { "code": 11000, "keyPattern": { "_id": 1 } }, Verdict::There),
            (doc! { "code": 11000, "keyPattern": { "email": 1 } }, Verdict::Never),
            (
                doc! { "code": 11000, "errmsg": "E11000 duplicate key error collection: d.c index: _id_ dup key" },
                Verdict::There,
            ),
            (
                doc! { "code": 11000, "errmsg": "E11000 duplicate key error collection: d.c index: n_1 dup key" },
                Verdict::Never,
            ),
            (doc! { "code": 121, "errmsg": "Document failed validation" }, Verdict::Never),
            (doc! { "code": 13_i64 }, Verdict::Later),
            (doc! { "code": 10107.0 }, Verdict::Later),
        ];
        for (error, expect) in cases {
            assert_eq!(verdict(&error), expect, "{error}");
        }
    }
}
