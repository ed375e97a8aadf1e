//! How much may be received and not taken yet.
//!
//! The broker sends as many messages ahead as `prefetch` says, however long they are, and lapin keeps them all. So the socket is
//! left alone once too many bytes are there: the broker waits then.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures::io::{AsyncRead, AsyncWrite};
use futures::task::AtomicWaker;

/// Bytes of messages that wait here.
const MOST: usize = 64 << 20;

#[derive(Default)]
pub struct Budget {
    received: AtomicUsize,
    /// Whoever takes messages has none: a message that is longer than the budget must get through.
    is_hungry: AtomicBool,
    waker: AtomicWaker,
}

impl Budget {
    /// All that was received whole has been taken, and more is waited for.
    pub fn hungry(&self) {
        self.received.store(0, Ordering::Relaxed);
        self.is_hungry.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// A message of so many bytes was taken.
    pub fn taken(&self, bytes: usize) {
        self.is_hungry.store(false, Ordering::Release);
        let less = |received: usize| Some(received.saturating_sub(bytes));
        let _ = self.received.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        self.waker.wake();
    }

    fn is_spent(&self) -> bool {
        self.received.load(Ordering::Relaxed) >= MOST && !self.is_hungry.load(Ordering::Acquire)
    }
}

/// A stream that is read within a budget.
pub struct Budgeted<S> {
    pub stream: S,
    pub budget: Arc<Budget>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Budgeted<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.budget.is_spent() {
            self.budget.waker.register(context.waker());
            // It may have been taken meanwhile, when nobody was to be woken yet.
            if self.budget.is_spent() {
                return Poll::Pending;
            }
        }
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Poll::Ready(Ok(bytes)) = &read {
            self.budget.received.fetch_add(*bytes, Ordering::Relaxed);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Budgeted<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_close(context)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::io::{AsyncReadExt, repeat};

    use super::*;

    /// Reads until nothing more is given.
    fn read_all(stream: &mut Budgeted<futures::io::Repeat>) -> usize {
        let (mut buffer, mut read) = (vec![0; 1 << 20], 0);
        while let Some(more) = stream.read(&mut buffer).now_or_never() {
            read += more.unwrap();
            if read >= 4 * MOST {
                break;
            }
        }
        read
    }

    #[test]
    fn reading_stops_until_messages_are_taken() {
        let budget = Arc::new(Budget::default());
        let mut stream = Budgeted { stream: repeat(7), budget: Arc::clone(&budget) };
        assert_eq!(read_all(&mut stream), MOST);
        budget.taken(10 << 20);
        assert_eq!(read_all(&mut stream), 10 << 20);
        // One that is longer than the budget gets through to who waits for it.
        budget.hungry();
        assert_eq!(read_all(&mut stream), 4 * MOST);
        budget.taken(4 * MOST);
        assert_eq!(read_all(&mut stream), MOST);
    }
}
