//! `manade generate`: load for a pipeline, through its own source.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use manade_model::Name;
use manade_pipeline::plan::{Fixed, Plan};
use manade_run::inferred_schema;

use super::{data_folder, platform_failure, report_findings};
use crate::args::{Generate, Rate};
use crate::client::Client;
use crate::failure::{Failure, Outcome};
use crate::signals;
use events::Events;
use rates::Rates;
use target::Target;

mod events;
mod rates;
mod target;
#[cfg(test)]
mod tests;

/// How often events are sent.
const TICK: Duration = Duration::from_millis(20);
/// Events that are sent together at most.
const BATCH: u64 = 5_000;
/// When a pipeline that is behind is asked again.
const BEHIND: Duration = Duration::from_millis(200);

pub fn run(args: &Generate) -> Result<Outcome, Failure> {
    let data = data_folder(&args.path, args.target.data.as_deref());
    let Some(plan) = planned(args, &data)? else { return Ok(Outcome::Failed) };
    let client = Client::running(&args.target, &data)?;
    let mut events = Events::new(args, &plan)?;
    let connectors = manade_run::Connectors::new()?;
    let mut target = Target::open(&plan, client.as_ref(), &connectors, &events)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let stop = signals::watch(&runtime)?;
    let mut rates = Rates::new(&args.pipeline, client.as_ref());
    let sent = send(args, &mut events, &mut target, &stop, &mut rates);
    target.close()?;
    rates.finish()?;
    runtime.shutdown_background();
    sent.map(|()| Outcome::Done)
}

/// The pipeline as it would run; `None` where the platform has errors, which are told.
fn planned(args: &Generate, data: &Path) -> Result<Option<Plan>, Failure> {
    let fixed = |name: &Name| Fixed { events: inferred_schema(data, name), ..Fixed::default() };
    let checked = manade_run::check(&args.path, fixed).map_err(platform_failure)?;
    let names: Vec<String> = checked.platform.pipelines.iter().map(|pipeline| pipeline.name.to_string()).collect();
    if let Some(plan) = checked.plans.into_iter().find(|plan| plan.pipeline.name.as_str() == args.pipeline) {
        return Ok(Some(plan));
    }
    if report_findings(&checked.findings)? == Outcome::Failed {
        return Ok(None);
    }
    let failure = Failure::misuse(format!("there is no pipeline `{}` in {}", args.pipeline, args.path.display()));
    Err(match manade_model::closest(&args.pipeline, names.iter().map(String::as_str)) {
        Some(nearest) => failure.with_hint(format!("did you mean `{nearest}`?")),
        None => failure.with_hint(format!("it has {}", names.join(", "))),
    })
}

/// Until all are sent, or someone stops it.
fn send(
    args: &Generate,
    events: &mut Events,
    target: &mut Target<'_>,
    stop: &Receiver<()>,
    rates: &mut Rates<'_>,
) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut sent = 0;
    loop {
        let left = args.count.map_or(u64::MAX, |count| count - sent);
        let due = due(args, begun.elapsed()).saturating_sub(sent);
        let batch = events.next(due.min(left).min(BATCH), begun.elapsed())?;
        let is_full = batch.events == BATCH;
        if batch.events > 0 {
            while !target.send(&batch.lines)? {
                rates.behind()?;
                if !is_going_on(stop, BEHIND) {
                    return Ok(());
                }
            }
            sent += batch.events;
        }
        rates.sent(sent)?;
        // A batch that was full is followed by the next one at once.
        let pause = if is_full { Duration::ZERO } else { TICK };
        if batch.is_last || args.count.is_some_and(|count| sent >= count) || !is_going_on(stop, pause) {
            return Ok(());
        }
    }
}

/// Events that are to be sent until then.
fn due(args: &Generate, elapsed: Duration) -> u64 {
    match (args.speed, args.rate) {
        // Their times say when.
        (Some(_), _) | (None, Rate::Max) => u64::MAX,
        (None, Rate::EventsPerSecond(rate)) => (elapsed.as_secs_f64() * rate) as u64,
    }
}

/// Waits, for so long at most; `false` once it is to stop.
fn is_going_on(stop: &Receiver<()>, pause: Duration) -> bool {
    if pause.is_zero() {
        return stop.try_recv() == Err(TryRecvError::Empty);
    }
    stop.recv_timeout(pause) == Err(RecvTimeoutError::Timeout)
}
