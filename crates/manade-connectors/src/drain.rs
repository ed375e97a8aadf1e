//! Writing to a sink outside, in the background.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use manade_model::OutsideTarget;
use manade_pipeline::outbox::{Outbox, OutboxError, Portion, RefusedRow};
use parking_lot::Mutex;
use tokio::runtime::{Handle, Runtime};
use tokio::sync::watch;

use crate::backoff::Backoff;
use crate::parquet::{Files, Finished};
use crate::{ConnectError, mongodb, rabbitmq};

/// How long it is waited for rows before it is looked whether writing is to end.
const WAIT: Duration = Duration::from_millis(100);

/// Writes for one sink until it is dropped.
pub struct Drain {
    result: String,
    sink: String,
    trouble: Arc<Mutex<Option<String>>>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Drain {
    /// With `hurry`, nothing is held back to be written together with what may come.
    pub(crate) fn start(runtime: &Runtime, outbox: Outbox, hurry: bool) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let trouble = Arc::new(Mutex::default());
        let (result, sink) = (outbox.info().name.clone(), outbox.sink().name());
        let teller = Teller {
            sink: sink.clone(),
            outbox,
            trouble: Arc::clone(&trouble),
            stop: stopped,
            runtime: runtime.handle().clone(),
            backoff: Backoff::new(),
        };
        let thread = std::thread::Builder::new().name("drain".to_owned()).spawn(move || tell(teller, hurry))?;
        Ok(Self { result, sink, trouble, stop, thread: Some(thread) })
    }

    /// Whose rows are written.
    pub fn result(&self) -> &str {
        &self.result
    }

    /// The sink's name.
    pub fn sink(&self) -> &str {
        &self.sink
    }

    /// What it waits for; `None` while it writes.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }
}

impl Drop for Drain {
    /// Blocks until what is being written is given up or noted.
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // One that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

fn tell(teller: Teller, hurry: bool) {
    let (info, generation) = (teller.outbox.info(), teller.outbox.generation());
    match teller.outbox.sink().target.clone() {
        OutsideTarget::MongoDb(target) => {
            teller.write_all(Writer::MongoDb(Box::new(mongodb::Writer::new(target, &info, generation))));
        }
        OutsideTarget::RabbitMq(target) => {
            teller.write_all(Writer::RabbitMq(Box::new(rabbitmq::Sender::new(target, info, generation))));
        }
        OutsideTarget::Parquet(target) => teller.gather_all(Files::new(target, &info, generation, hurry)),
    }
}

/// How far a portion is written.
#[derive(Default)]
pub(crate) struct Progress {
    /// The first row that is not.
    pub next: usize,
    pub written: u64,
    pub refused: Vec<RefusedRow>,
    /// Rows from `next` on that are to be sent one by one.
    pub alone: usize,
    /// How often the connection broke at `next`, though the server could be reached.
    pub breaks: u32,
}

/// What a server is told portion by portion. After an error, writing can be called again and goes on.
enum Writer {
    MongoDb(Box<mongodb::Writer>),
    RabbitMq(Box<rabbitmq::Sender>),
}

impl Writer {
    async fn write(&mut self, portion: &Portion, progress: &mut Progress) -> Result<(), ConnectError> {
        match self {
            Self::MongoDb(writer) => writer.write(portion, progress).await,
            Self::RabbitMq(sender) => sender.send(portion, progress).await,
        }
    }

    /// Belongs on the runtime: the client's tasks end there.
    async fn close(self) {
        match self {
            Self::MongoDb(writer) => drop(writer),
            Self::RabbitMq(sender) => sender.close().await,
        }
    }
}

/// Who takes rows out of an outbox.
struct Teller {
    sink: String,
    outbox: Outbox,
    trouble: Arc<Mutex<Option<String>>>,
    stop: watch::Receiver<bool>,
    runtime: Handle,
    backoff: Backoff,
}

impl Teller {
    /// Each portion is written before the next one is looked at.
    fn write_all(mut self, mut writer: Writer) {
        while !*self.stop.borrow() {
            let portion = match self.outbox.next(WAIT) {
                Ok(Some(portion)) => portion,
                Ok(None) => continue,
                Err(error) => {
                    self.wait(&ConnectError::new(error.to_string()));
                    continue;
                }
            };
            if !self.write(&mut writer, &portion) {
                break;
            }
        }
        self.runtime.block_on(writer.close());
    }

    /// Until it is written and noted; `false` where that is given up.
    fn write(&mut self, writer: &mut Writer, portion: &Portion) -> bool {
        let mut progress = Progress::default();
        loop {
            let (before, mut stop) = (progress.next, self.stop.clone());
            let written = self.runtime.block_on(async {
                tokio::select! {
                    written = writer.write(portion, &mut progress) => Some(written),
                    _ = stop.wait_for(|stop| *stop) => None,
                }
            });
            if progress.next > before {
                self.backoff.reset();
            }
            match written {
                None => return false,
                Some(Ok(())) => break,
                Some(Err(error)) => self.wait(&error),
            }
        }
        self.goes_on(progress.refused.len());
        let noted = self.outbox.done(portion, progress.written, &progress.refused);
        self.is_noted(noted)
    }

    /// Portions are gathered, and told as written once they are in files.
    fn gather_all(mut self, mut files: Files) {
        while !*self.stop.borrow() {
            match self.gather(&mut files) {
                Ok(None) => {}
                Ok(Some(Finished { end, rows })) => {
                    self.goes_on(0);
                    let noted = self.outbox.done_before(end, rows);
                    if !self.is_noted(noted) {
                        return;
                    }
                }
                Err(error) => {
                    files.give_up();
                    self.outbox.take_again();
                    self.wait(&error);
                }
            }
        }
    }

    fn gather(&mut self, files: &mut Files) -> Result<Option<Finished>, ConnectError> {
        let portion = self.outbox.next(WAIT).map_err(|error| ConnectError::new(error.to_string()))?;
        if let Some(portion) = portion {
            let (finished, refused) = files.add(&portion)?;
            self.outbox.taken(&portion, &refused);
            if finished.is_some() {
                return Ok(finished);
            }
        }
        files.finish_if_due()
    }

    fn goes_on(&mut self, refused: usize) {
        self.backoff.reset();
        if self.trouble.lock().take().is_some() {
            tracing::info!(sink = %self.sink, "writing goes on");
        }
        if refused > 0 {
            tracing::warn!(sink = %self.sink, rows = refused, "rows were refused: they are dead letters");
        }
    }

    /// Until what was done is noted; `false` where that is given up.
    fn is_noted(&mut self, mut noted: Result<(), OutboxError>) -> bool {
        while let Err(OutboxError::NotNoted(reason)) = noted {
            self.wait(&ConnectError::new(reason));
            if *self.stop.borrow() {
                return false;
            }
            noted = self.outbox.note();
        }
        noted.is_ok()
    }

    /// A while, or until writing is to end.
    fn wait(&mut self, error: &ConnectError) {
        let hint = error.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
        if self.trouble.lock().replace(error.reason.clone()).as_ref() != Some(&error.reason) {
            tracing::warn!(sink = %self.sink, "writing is interrupted: {}{hint}", error.reason);
        }
        let (mut stop, wait) = (self.stop.clone(), self.backoff.next());
        self.runtime.block_on(async {
            // Whichever comes first.
            let _ = tokio::time::timeout(wait, stop.wait_for(|stop| *stop)).await;
        });
    }
}
