//! The server over a real socket and a platform in memory.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![expect(clippy::from_iter_instead_of_collect, reason = "an array's type reads best in front of its values")]

#[path = "http/client.rs"]
mod client;
#[path = "http/control.rs"]
mod control;
#[path = "http/feeds.rs"]
mod feeds;
#[path = "http/ingest.rs"]
mod ingest;
#[path = "http/limits.rs"]
mod limits;
#[path = "http/memory.rs"]
mod memory;
#[path = "http/rows.rs"]
mod rows;
#[path = "http/samples.rs"]
mod samples;

use std::net::SocketAddr;
use std::sync::Arc;

use manade_server::ServerOptions;
use memory::Platform;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// A server that stops when this is dropped.
struct Server {
    address: SocketAddr,
    platform: Arc<Platform>,
    stop: Option<oneshot::Sender<()>>,
    runtime: Option<Runtime>,
    served: Option<tokio::task::JoinHandle<std::io::Result<()>>>,
}

impl Server {
    fn start(platform: Platform) -> Self {
        Self::with(platform, ServerOptions::default())
    }

    fn with(platform: Platform, options: ServerOptions) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let platform = Arc::new(platform);
        let (stop, stopped) = oneshot::channel::<()>();
        let backend = Arc::clone(&platform);
        let served = runtime.spawn(async move {
            manade_server::serve(listener, backend, options, async move {
                let _ = stopped.await;
            })
            .await
        });
        Self { address, platform, stop: Some(stop), runtime: Some(runtime), served: Some(served) }
    }

    /// Stops, and waits until all connections have ended.
    fn shut_down(&mut self) {
        if let (Some(stop), Some(served), Some(runtime)) = (self.stop.take(), self.served.take(), &self.runtime) {
            stop.send(()).unwrap();
            runtime.block_on(served).unwrap().unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
