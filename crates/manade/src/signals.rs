//! Ctrl-C and SIGTERM.

use std::io;
use std::sync::mpsc::{self, Receiver};

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// As shells have it for a process that Ctrl-C ended.
const INTERRUPTED: i32 = 130;

/// The first signal is received; the second ends the process where it stands, which loses nothing that was committed.
pub fn watch(runtime: &Runtime) -> io::Result<Receiver<()>> {
    let _guard = runtime.enter();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let (sender, receiver) = mpsc::channel();
    drop(runtime.spawn(async move {
        either(&mut interrupt, &mut terminate).await;
        // Nobody listens once the process is ending anyway.
        let _ = sender.send(());
        either(&mut interrupt, &mut terminate).await;
        std::process::exit(INTERRUPTED);
    }));
    Ok(receiver)
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
