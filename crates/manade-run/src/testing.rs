//! `manade test`: given events through a pipeline's SQL, rows held against what is expected.

pub use manade_pipeline::testing::{TestOutcome, run_test};

use crate::platform::Checked;

/// Runs the tests of every pipeline, or those with one of the names.
pub fn run(checked: &Checked, names: &[String]) -> Vec<TestOutcome> {
    let mut outcomes = Vec::new();
    for plan in &checked.plans {
        for test in &plan.pipeline.tests {
            if names.is_empty() || names.contains(&test.name) {
                outcomes.push(run_test(plan, test));
            }
        }
    }
    outcomes
}
