//! `manade reset`.

use manade_pipeline::status::{PipelineState, PipelineStatus};
use manade_run::{ControlError, Offline};
use manade_store::OpenError;

use crate::args::Reset;
use crate::client::offline_failure;
use crate::failure::{Failure, Outcome, nearest};
use crate::output::{confirm, note, say};

pub fn run(args: &Reset) -> Result<Outcome, Failure> {
    let mut offline = Offline::open(&args.data).map_err(|error| match error {
        OpenError::Locked { .. } => {
            Failure::new(format!("the data folder {} is in use by a running manade", args.data.display()))
                .with_hint("stop that `manade up` first, reset, and start it again")
        }
        error => offline_failure(error),
    })?;
    let statuses = offline.pipelines();
    let Some(status) = statuses.iter().find(|status| status.name == args.pipeline) else {
        let failure = Failure::new(format!("no pipeline is called \"{}\" in {}", args.pipeline, args.data.display()));
        let names = statuses.iter().map(|status| status.name.as_str());
        return Err(nearest(failure, &args.pipeline, names, "`manade status` lists the pipelines"));
    };
    if let Some(result) = &args.result {
        return reset_result(args, &mut offline, status, result);
    }
    let keeps_events = offline.has_events(&args.pipeline) && !args.events;
    let events = if args.events { ", and its accepted events," } else { "" };
    if !confirm(&format!("delete all rows and the progress{events} of the pipeline {}", args.pipeline), args.yes)? {
        note("nothing was deleted\n")?;
        return Ok(Outcome::Done);
    }
    offline.reset(&args.pipeline, args.events).map_err(failed)?;
    let without = if args.events { ", without the events that it had accepted" } else { "" };
    say(&format!("{} starts anew with the next `manade up`{without}\n", args.pipeline))?;
    if keeps_events {
        note("its accepted events are kept and will be read again; --events deletes them too\n")?;
    }
    Ok(Outcome::Done)
}

fn reset_result(
    args: &Reset,
    offline: &mut Offline,
    status: &PipelineStatus,
    result: &str,
) -> Result<Outcome, Failure> {
    if let (PipelineState::Failed, Some(reason)) = (status.state, &status.reason) {
        let failure = Failure::new(format!("the pipeline {} cannot be read: {reason}", args.pipeline));
        return Err(failure.with_hint(format!("reset all of it: manade reset {}", args.pipeline)));
    }
    let names: Vec<&str> = status.results.iter().map(|result| result.name.as_str()).collect();
    if !names.contains(&result) {
        let failure = Failure::new(format!("the pipeline \"{}\" has no result \"{result}\"", args.pipeline));
        return Err(nearest(failure, result, names.into_iter(), "`manade status` lists the results"));
    }
    if !confirm(&format!("delete the rows and the progress of the result {result}"), args.yes)? {
        note("nothing was deleted\n")?;
        return Ok(Outcome::Done);
    }
    offline.reset_result(&args.pipeline, result).map_err(failed)?;
    say(&format!("{result} starts anew with the next `manade up`\n"))?;
    Ok(Outcome::Done)
}

fn failed(error: ControlError) -> Failure {
    match error {
        ControlError::Failed(_) => {
            Failure::from(error).with_hint("make room or mend the folder's access rights, then try again")
        }
        error => Failure::from(error),
    }
}
