//! Logs go to stderr, above the live lines where there are any. A message that comes too often is left out, and how
//! often it was is said instead.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Registry, fmt as format};

use crate::args::{Log, LogFormat, LogLevel};
use crate::screen::Screen;

#[cfg(test)]
mod tests;

/// Of one message, a [`WINDOW`]. Findings are all logged: the platform's files bound their number.
const MOST: u64 = 10;
const WINDOW: Duration = Duration::from_secs(1);

/// Counts messages by where in the program they come from. Clones share their counts.
#[derive(Clone, Default)]
pub struct RateLimit(Arc<Mutex<HashMap<Identifier, Recent>>>);

/// What came from one place since `start`.
struct Recent {
    start: Instant,
    count: u64,
    /// The first message that was left out.
    left_out: Option<String>,
}

/// Starts logging for the rest of the process. With a screen, lines are printed above it.
pub fn start(options: &Log, screen: Option<Screen>) -> RateLimit {
    let limit = RateLimit::default();
    let level = match options.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let ansi = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let lines =
        format::layer().with_ansi(ansi).with_target(false).with_writer(move || Lines { screen: screen.clone() });
    let lines: Box<dyn Layer<_> + Send + Sync> = match options.format {
        LogFormat::Text => Box::new(lines),
        LogFormat::Json => Box::new(lines.json().flatten_event(true)),
    };
    // What happens to a connection is told by who uses it, once.
    let clients = if level < LevelFilter::DEBUG { LevelFilter::OFF } else { level };
    let levels = Targets::new().with_default(level).with_target("lapin", clients);
    Registry::default().with(lines).with(limit.clone()).with(levels).init();
    limit
}

impl RateLimit {
    /// Logs how often messages were left out whose second is over. To be called now and then.
    pub fn report(&self) {
        for (count, message) in self.take(Instant::now()) {
            tracing::warn!("{count} more times within a second: {message}");
        }
    }

    /// Whether a message from `place` is to be logged.
    fn admit(&self, place: Identifier, now: Instant, message: impl FnOnce() -> String) -> bool {
        let mut places = self.0.lock();
        let recent = places.entry(place).or_insert_with(|| Recent { start: now, count: 0, left_out: None });
        // What was left out is reported before the count starts anew.
        if recent.left_out.is_none() && now.duration_since(recent.start) >= WINDOW {
            recent.start = now;
            recent.count = 0;
        }
        recent.count += 1;
        if recent.count <= MOST {
            return true;
        }
        recent.left_out.get_or_insert_with(message);
        false
    }

    fn take(&self, now: Instant) -> Vec<(u64, String)> {
        let mut taken = Vec::new();
        for recent in self.0.lock().values_mut() {
            if now.duration_since(recent.start) < WINDOW {
                continue;
            }
            if let Some(message) = recent.left_out.take() {
                taken.push((recent.count - MOST, message));
            }
            recent.start = now;
            recent.count = 0;
        }
        taken
    }
}

impl<S: Subscriber> Layer<S> for RateLimit {
    fn event_enabled(&self, event: &Event<'_>, _: Context<'_, S>) -> bool {
        if event.metadata().target() == manade_run::FINDING {
            return true;
        }
        self.admit(event.metadata().callsite(), Instant::now(), || {
            let mut message = Message(String::new());
            event.record(&mut message);
            message.0
        })
    }
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

/// One event's text; it is whole when it is written.
struct Lines {
    screen: Option<Screen>,
}

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &self.screen {
            Some(screen) => screen.print(&String::from_utf8_lossy(bytes)).map(|()| bytes.len()),
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
