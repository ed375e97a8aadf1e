use std::sync::Mutex;
use std::time::{Duration, Instant};

use tracing::Subscriber;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::RateLimit;

/// Counts what gets through.
struct Counter(std::sync::Arc<Mutex<u64>>);

impl<S: Subscriber> Layer<S> for Counter {
    fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
        *self.0.lock().expect("no panic") += 1;
    }
}

#[test]
fn repeats_of_one_message_are_left_out_and_counted() {
    let seen = std::sync::Arc::new(Mutex::new(0));
    let limit = RateLimit::default();
    let subscriber = Registry::default().with(Counter(seen.clone())).with(limit.clone());
    tracing::subscriber::with_default(subscriber, || {
        for number in 0..25 {
            tracing::warn!("cannot read file {number}");
        }
        tracing::warn!("another message");
    });
    assert_eq!(*seen.lock().expect("no panic"), 11, "ten of the first, and the other");
    tracing::subscriber::with_default(Registry::default().with(Counter(seen.clone())).with(limit.clone()), || {
        for line in 0..25 {
            tracing::error!(target: manade_run::FINDING, "p.yaml:{line}:1: wrong");
        }
    });
    assert_eq!(*seen.lock().expect("no panic"), 36, "findings are all told");
    assert_eq!(limit.take(Instant::now()), [], "its second is not over");
    let later = Instant::now() + Duration::from_secs(2);
    assert_eq!(limit.take(later), [(15, "cannot read file 10".to_owned())]);
    assert_eq!(limit.take(later + Duration::from_secs(2)), [], "it is said once");
}
