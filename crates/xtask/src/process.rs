//! Running other programs quietly, with a deadline.

use std::io::{PipeReader, Read, pipe};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// What a program did.
pub struct Finished {
    pub status: ExitStatus,
    /// Both streams, as they came.
    pub output: String,
}

impl Finished {
    pub fn success(&self) -> bool {
        self.status.success()
    }
}

/// Runs to the end or for `limit`, whichever comes first; too long is an error.
pub fn run(command: &mut Command, limit: Duration) -> Result<Finished> {
    let name = command.get_program().to_string_lossy().into_owned();
    let (reader, writer) = pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().with_context(|| format!("start {name}"))?;
    // The command keeps the pipe's writing end open.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let collector = thread::spawn(move || collect(reader));
    let status = wait(&mut child, limit)?;
    let Some(status) = status else {
        let output = collector.join().unwrap_or_default();
        bail!("{name} did not end within {} s\n{output}", limit.as_secs());
    };
    Ok(Finished { status, output: collector.join().unwrap_or_default() })
}

/// As [`run`], with what is written to stdout only; a failure is an error that says what was written.
pub fn output_of(command: &mut Command, limit: Duration) -> Result<String> {
    let name = format!("{command:?}");
    let (reader, writer) = pipe()?;
    let (errors, errors_writer) = pipe()?;
    command.stdout(writer).stderr(errors_writer);
    let mut child = command.spawn().with_context(|| format!("start {name}"))?;
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let (out, err) = (thread::spawn(move || collect(reader)), thread::spawn(move || collect(errors)));
    let status = wait(&mut child, limit)?;
    let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
    match status {
        Some(status) if status.success() => Ok(out),
        Some(status) => bail!("{name}: {status}\n{err}"),
        None => bail!("{name} did not end within {} s\n{err}", limit.as_secs()),
    }
}

/// `None`: it did not end in time and was killed.
pub fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let start = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() > limit {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(10));
    }
}

fn collect(mut reader: PipeReader) -> String {
    let mut bytes = Vec::new();
    // A broken pipe ends the output like its end does.
    let _ = reader.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}
