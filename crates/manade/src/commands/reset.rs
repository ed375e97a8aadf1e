//! `manade reset`.

use manade_run::{ControlError, Offline, OfflineError};
use manade_store::OpenError;

use crate::args::Reset;
use crate::client::offline_failure;
use crate::failure::{Failure, Outcome, nearest};
use crate::output::{confirm, note, say};

pub fn run(args: &Reset) -> Result<Outcome, Failure> {
    let mut offline = Offline::open(&args.data).map_err(|error| match error {
        OfflineError::Open(OpenError::Locked { .. }) => {
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
    let what = match &args.result {
        Some(result) => {
            let names: Vec<&str> = status.results.iter().map(|result| result.name.as_str()).collect();
            if !names.contains(&result.as_str()) {
                let failure = Failure::new(format!("the pipeline \"{}\" has no result \"{result}\"", args.pipeline));
                return Err(nearest(failure, result, names.into_iter(), "`manade status` lists the results"));
            }
            format!("delete the rows and the progress of the result {result}")
        }
        None => format!("delete all rows and the progress of the pipeline {}", args.pipeline),
    };
    if !confirm(&what, args.yes)? {
        note("nothing was deleted\n")?;
        return Ok(Outcome::Done);
    }
    offline.reset(&args.pipeline, args.result.as_deref()).map_err(|error| match error {
        ControlError::Failed(_) => {
            Failure::from(error).with_hint("make room or mend the folder's access rights, then try again")
        }
        error => Failure::from(error),
    })?;
    let name = args.result.as_deref().unwrap_or(&args.pipeline);
    say(&format!("{name} starts anew with the next `manade up`\n"))?;
    Ok(Outcome::Done)
}
