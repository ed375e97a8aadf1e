//! `manade openapi`.

use std::sync::Arc;

use manade_model::Source;
use manade_pipeline::plan::{Fixed, Plan};
use manade_server::IngestInfo;

use super::{platform_failure, report_findings};
use crate::args::Openapi;
use crate::failure::{Failure, Outcome};
use crate::output::say;

pub fn run(args: &Openapi) -> Result<Outcome, Failure> {
    let checked = manade_run::check(&args.path, |_| Fixed::default()).map_err(platform_failure)?;
    if checked.has_errors() {
        return report_findings(&checked.findings);
    }
    let mut collections: Vec<_> = checked.plans.iter().flat_map(Plan::collections).map(Arc::new).collect();
    collections.sort_by(|a, b| a.name.cmp(&b.name));
    let takes_events = |plan: &&Plan| matches!(plan.pipeline.source, Source::Http(_));
    let ingests: Vec<IngestInfo> = checked
        .plans
        .iter()
        .filter(takes_events)
        .map(|plan| IngestInfo { pipeline: plan.pipeline.name.to_string(), schema: plan.schema.clone() })
        .collect();
    say(&(serde_json::to_string_pretty(&manade_server::openapi(&collections, &ingests))? + "\n"))?;
    Ok(Outcome::Done)
}
