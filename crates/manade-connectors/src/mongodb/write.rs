//! Rows to documents of one collection.
//!
//! A row of a keyed result is the document whose `_id` is its key. It carries its revision as `_rev`, and is written only
//! where the document that is there has none that is newer, and so are deletions. A row that was appended is a document whose
//! `_id` is made of the result's generation and the row's number. So whatever is sent again changes nothing.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use bson::oid::ObjectId;
use bson::raw::{RawArrayBuf, RawBson, RawDocumentBuf};
use bson::spec::BinarySubtype;
use bson::{Binary, Bson, Document, rawdoc};
use manade_model::MongoDbSink;
use manade_pipeline::collection::CollectionInfo;
use manade_pipeline::outbox::{Portion, PortionKind, RefusedRow};
use mongodb::Client;

use super::client;
use super::document::{self, Names, Refused, put_column};
use super::error::{Failure, Verdict, number, verdict};
use crate::ConnectError;
use crate::drain::Progress;

/// Documents in a command, while the server answers in time, and their bytes; a command is a document itself, which has 16 MiB
/// at most.
const TOGETHER: usize = 2_000;
const BYTES: usize = 8 << 20;
/// What a server takes as one document.
const LARGEST: usize = 16 << 20;
/// How often the server may close the connection at a row before that is taken for its answer.
const BREAKS: u32 = 5;
/// Removing older revisions looks at all documents.
const REMOVAL: Duration = Duration::from_mins(30);

/// Writes the rows of one result.
pub(crate) struct Writer {
    target: MongoDbSink,
    info: Arc<CollectionInfo>,
    names: Result<Names, Refused>,
    generation: u64,
    /// Made anew after trouble: a secret may have changed.
    client: Option<Client>,
    /// Documents in a command: fewer once the server was too slow for so many.
    together: usize,
}

/// A part of a write command, and the row that it is of.
struct Statement {
    row: usize,
    document: RawDocumentBuf,
}

impl Writer {
    pub fn new(target: MongoDbSink, info: &Arc<CollectionInfo>, generation: u64) -> Self {
        let names = Names::of(info.columns.iter().map(|column| column.name.as_str()));
        Self { target, info: Arc::clone(info), names, generation, client: None, together: TOGETHER }
    }

    /// Goes on with a portion. After an error it can be called again.
    pub async fn write(&mut self, portion: &Portion, progress: &mut Progress) -> Result<(), ConnectError> {
        loop {
            let failure = match self.write_all(portion, progress).await {
                Ok(()) => return Ok(()),
                Err(Trouble::Other(error)) => return Err(error),
                Err(Trouble::Store(failure)) => failure,
            };
            self.client = None;
            if let Failure::NoAnswer(_) = &failure {
                self.together = (self.together / 4).max(1);
            }
            if let Failure::Unreached(_) = &failure {
                // It says why a server cannot be reached, which the driver does not.
                super::check(&self.target.store).await?;
            }
            if !failure.is_break() || portion.kind == PortionKind::RemoveOlder || !is_refused(progress) {
                return Err(failure.trouble(&self.target.store));
            }
        }
    }

    async fn write_all(&mut self, portion: &Portion, progress: &mut Progress) -> Result<(), Trouble> {
        if portion.kind == PortionKind::RemoveOlder {
            let older = rawdoc! { "q": { "_rev": { "$lt": portion.revision } }, "limit": 0 };
            let statement = [Statement { row: 0, document: older }];
            let answer = self.send(PortionKind::RemoveOlder, &statement).await?;
            return match answer.errors.into_iter().next() {
                Some(error) => Err(Trouble::Store(error.failure())),
                None => Ok(()),
            };
        }
        while progress.next < portion.rows.num_rows() {
            let together = if progress.alone > 0 { 1 } else { self.together };
            let (statements, mut refused, next) = self.statements(portion, progress.next, together);
            let sent = statements.len() as u64;
            let by_server = self.send_all(portion.kind, &statements).await?;
            progress.written += sent - by_server.len() as u64;
            refused.extend(by_server);
            refused.sort_by_key(|refused| refused.row);
            progress.refused.extend(refused);
            progress.alone = progress.alone.saturating_sub(next - progress.next);
            progress.breaks = 0;
            progress.next = next;
            self.together = (self.together * 2).min(TOGETHER);
        }
        Ok(())
    }

    /// Of at most so many rows from `first` on, those that go together; those that cannot be documents; and the row behind them.
    fn statements(&self, portion: &Portion, first: usize, most: usize) -> (Vec<Statement>, Vec<RefusedRow>, usize) {
        let (mut statements, mut refused, mut bytes, mut row) = (Vec::new(), Vec::new(), 0, first);
        while row < portion.rows.num_rows() && row - first < most {
            match self.statement(portion, row) {
                Ok(document) => {
                    let size = document.as_bytes().len();
                    if bytes + size > BYTES && !statements.is_empty() {
                        break;
                    }
                    bytes += size;
                    statements.push(Statement { row, document });
                }
                Err(Refused(reason)) => refused.push(RefusedRow { row, reason }),
            }
            row += 1;
        }
        (statements, refused, row)
    }

    pub(super) fn statement(&self, portion: &Portion, row: usize) -> Result<RawDocumentBuf, Refused> {
        let Portion { kind, rows, revision } = portion;
        let id = match kind {
            PortionKind::Append => self.id_of_row(rows, row)?,
            _ => self.id_of_key(rows, row)?,
        };
        let guard = || -> Result<RawDocumentBuf, Refused> {
            let mut guard = RawDocumentBuf::new();
            guard.append(document::c_string("_id")?, id.clone());
            guard.append(document::c_string("_rev")?, rawdoc! { "$lte": *revision });
            Ok(guard)
        };
        if *kind == PortionKind::Delete {
            return Ok(rawdoc! { "q": guard()?, "limit": 1 });
        }
        let names = self.names.as_ref().map_err(Clone::clone)?;
        let mut document = RawDocumentBuf::new();
        document.append(document::c_string("_id")?, id.clone());
        document::append(&mut document, names, rows, row)?;
        if *kind == PortionKind::Upsert {
            document.append(document::c_string("_rev")?, *revision);
        }
        let size = document.as_bytes().len();
        if size > LARGEST {
            return Err(Refused(format!("the document has {size} bytes, and MongoDB takes {LARGEST}")));
        }
        if *kind == PortionKind::Append {
            return Ok(document);
        }
        Ok(rawdoc! { "q": guard()?, "u": document, "upsert": true })
    }

    /// The key, where it is one column; several are a document. One that MongoDB takes for no `_id` is its bytes.
    fn id_of_key(&self, rows: &RecordBatch, row: usize) -> Result<RawBson, Refused> {
        let at = |name: &String| self.info.columns.iter().position(|column| column.name == *name);
        let key: Option<Vec<usize>> = self.info.key.iter().map(at).collect();
        match key.unwrap_or_default().as_slice() {
            [] => bytes_of_key(rows, row),
            [one] if !is_alone(rows.column(*one).as_ref(), row) => {
                if matches!(rows.column(*one).data_type(), DataType::Timestamp(..)) {
                    return self.id_of_columns(&[*one], rows, row);
                }
                bytes_of_key(rows, row)
            }
            [one] => document::value(rows.column(*one).as_ref(), row),
            several => self.id_of_columns(several, rows, row),
        }
    }

    fn id_of_columns(&self, columns: &[usize], rows: &RecordBatch, row: usize) -> Result<RawBson, Refused> {
        let mut id = RawDocumentBuf::new();
        for column in columns {
            put_column(&mut id, &self.info.columns[*column].name, rows.column(*column).as_ref(), row)?;
        }
        Ok(RawBson::Document(id))
    }

    /// Twelve bytes: five of the generation, seven of the row's number.
    fn id_of_row(&self, rows: &RecordBatch, row: usize) -> Result<RawBson, Refused> {
        let key = rows.columns().last().and_then(|keys| keys.as_binary_opt::<i32>());
        let number: Option<[u8; 8]> = key.and_then(|keys| keys.value(row).try_into().ok());
        let number = number.ok_or_else(|| Refused("the row has no number".to_owned()))?;
        let mut id = [0; 12];
        id[..5].copy_from_slice(&self.generation.to_be_bytes()[..5]);
        id[5..].copy_from_slice(&number[1..]);
        Ok(RawBson::ObjectId(ObjectId::from_bytes(id)))
    }

    /// Says which rows the server will never take.
    async fn send_all(&mut self, kind: PortionKind, statements: &[Statement]) -> Result<Vec<RefusedRow>, Trouble> {
        let mut refused = Vec::new();
        let mut waiting: Vec<_> = std::iter::once(0..statements.len()).collect();
        while let Some(range) = waiting.pop() {
            if range.is_empty() {
                continue;
            }
            let part = &statements[range.clone()];
            match self.send(kind, part).await {
                Ok(Answer { errors, .. }) if errors.is_empty() => {}
                Ok(Answer { done, errors }) => {
                    let first = errors.iter().map(|error| error.index).min().unwrap_or_default();
                    let is_whole = kind != PortionKind::Delete && done + errors.len() >= part.len();
                    for error in errors {
                        match error.verdict {
                            Verdict::There => {}
                            Verdict::Later => return Err(Trouble::Store(error.failure())),
                            Verdict::Never => {
                                let row = part.get(error.index).map_or(0, |statement| statement.row);
                                refused.push(RefusedRow { row, reason: error.message });
                            }
                        }
                    }
                    // FerretDB ends an update with the first error, whatever `ordered` says.
                    if !is_whole {
                        waiting.push(range.start + first + 1..range.end);
                    }
                }
                Err(Trouble::Store(failure)) if failure.is_final() => {
                    if let [only] = part {
                        refused.push(RefusedRow { row: only.row, reason: failure.reason() });
                    } else {
                        let middle = range.start + part.len() / 2;
                        waiting.push(middle..range.end);
                        waiting.push(range.start..middle);
                    }
                }
                Err(trouble) => return Err(trouble),
            }
        }
        Ok(refused)
    }

    async fn send(&mut self, kind: PortionKind, statements: &[Statement]) -> Result<Answer, Trouble> {
        let (name, key, limit) = match kind {
            PortionKind::Upsert => ("update", "updates", client::ANSWER),
            PortionKind::Delete => ("delete", "deletes", client::ANSWER),
            PortionKind::RemoveOlder => ("delete", "deletes", REMOVAL),
            PortionKind::Append => ("insert", "documents", client::ANSWER),
        };
        let mut list = RawArrayBuf::new();
        for statement in statements {
            list.push(statement.document.clone());
        }
        let mut command = RawDocumentBuf::new();
        for (key, value) in [
            (name, RawBson::String(self.target.collection.clone())),
            (key, RawBson::Array(list)),
            ("ordered", RawBson::Boolean(false)),
            ("writeConcern", RawBson::Document(rawdoc! { "w": "majority" })),
        ] {
            let key = document::c_string(key).map_err(|Refused(reason)| Trouble::Other(ConnectError::new(reason)))?;
            command.append(key, value);
        }
        let client = match &self.client {
            Some(client) => client,
            None => self.client.insert(client::connect(&self.target.store, "manade").map_err(Trouble::Other)?),
        };
        let answer = client::command(&client.database(&self.target.database), command, limit).await;
        Answer::of(&answer.map_err(Trouble::Store)?).map_err(Trouble::Store)
    }
}

/// Takes down that the connection broke while rows from `next` on were sent, though the server answers: one of them may be
/// why. Where it broke often, they are sent one by one; a row at which it breaks often is refused.
fn is_refused(progress: &mut Progress) -> bool {
    progress.breaks += 1;
    if progress.breaks < BREAKS {
        return false;
    }
    progress.breaks = 0;
    if progress.alone == 0 {
        progress.alone = TOGETHER;
        return false;
    }
    let reason = "the server closes the connection when it gets the row".to_owned();
    progress.refused.push(RefusedRow { row: progress.next, reason });
    progress.alone -= 1;
    progress.next += 1;
    true
}

/// Why a portion is not written yet.
enum Trouble {
    Store(Failure),
    /// Of what is read here, such as a password's file.
    Other(ConnectError),
}

/// What a server says to a write command.
struct Answer {
    /// Documents that were written, or were there.
    done: usize,
    errors: Vec<DocumentError>,
}

/// Of one statement.
struct DocumentError {
    index: usize,
    code: i32,
    message: String,
    verdict: Verdict,
}

impl Answer {
    fn of(answer: &Document) -> Result<Self, Failure> {
        if let Ok(error) = answer.get_document("writeConcernError") {
            let message = error.get_str("errmsg").unwrap_or_default();
            let message = format!("a majority has not confirmed the write: {message}");
            return Err(Failure::Unconfirmed(message));
        }
        let errors = answer.get_array("writeErrors").map(Vec::as_slice).unwrap_or_default();
        let error = |error: &Bson| {
            let error = error.as_document()?;
            Some(DocumentError {
                index: usize::try_from(number(error, "index")?).ok()?,
                code: number(error, "code").and_then(|code| i32::try_from(code).ok()).unwrap_or_default(),
                message: error.get_str("errmsg").unwrap_or("it says no reason").to_owned(),
                verdict: verdict(error),
            })
        };
        let done = number(answer, "n").and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
        Ok(Self { done, errors: errors.iter().filter_map(error).collect() })
    }
}

impl DocumentError {
    fn failure(self) -> Failure {
        Failure::Refused { code: self.code, message: self.message }
    }
}

/// Whether MongoDB takes the value for an `_id`, and it is all of the key.
fn is_alone(array: &dyn Array, row: usize) -> bool {
    match array.data_type() {
        DataType::List(_) => false,
        DataType::Timestamp(..) => {
            let times = array.as_primitive_opt::<TimestampMicrosecondType>();
            times.is_none_or(|times| times.is_null(row) || times.value(row) % 1_000 == 0)
        }
        _ => true,
    }
}

/// Of a result of one row the key is empty.
fn bytes_of_key(rows: &RecordBatch, row: usize) -> Result<RawBson, Refused> {
    let keys = rows.columns().last().and_then(|keys| keys.as_binary_opt::<i32>());
    let bytes = keys.map(|keys| keys.value(row)).ok_or_else(|| Refused("the row has no key".to_owned()))?;
    if bytes.is_empty() {
        return Ok(RawBson::Int32(0));
    }
    Ok(RawBson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() }))
}
