//! `manade schema`.

use crate::failure::{Failure, Outcome};
use crate::output::say;

pub fn run() -> Result<Outcome, Failure> {
    let text = serde_json::to_string_pretty(&manade_model::json_schema())?;
    say(&(text + "\n"))?;
    Ok(Outcome::Done)
}
