//! `manade functions`.

use std::fmt::Write as _;

use manade_functions::{FunctionDoc, FunctionKind, documented};
use serde_json::{Value, json};

use crate::args::{FunctionFormat, Functions};
use crate::failure::{Failure, Outcome};
use crate::output::say;

pub fn run(args: &Functions) -> Result<Outcome, Failure> {
    let text = match args.output {
        FunctionFormat::Markdown => markdown(documented()),
        FunctionFormat::Json => {
            let list: Vec<Value> = sorted(documented()).into_iter().map(object).collect();
            serde_json::to_string_pretty(&list)? + "\n"
        }
    };
    say(&text)?;
    Ok(Outcome::Done)
}

/// By kind, then as the registry has them.
fn sorted(functions: &[FunctionDoc]) -> Vec<&FunctionDoc> {
    let mut sorted: Vec<&FunctionDoc> = functions.iter().collect();
    sorted.sort_by_key(|function| function.kind);
    sorted
}

fn object(function: &FunctionDoc) -> Value {
    json!({
        "name": function.name,
        "aliases": function.aliases,
        "kind": kind(function.kind),
        "signature": function.signature,
        "description": function.line,
        "difference": function.difference,
    })
}

fn markdown(functions: &[FunctionDoc]) -> String {
    let mut out = String::from("| function | kind | what it gives |\n|---|---|---|\n");
    for function in sorted(functions) {
        let cell = |text: &str| text.replace('|', "\\|");
        let aliases = match function.aliases {
            [] => String::new(),
            aliases => format!(" Also `{}`.", aliases.join("`, `")),
        };
        let difference = match function.difference {
            Some(difference) => format!(" **Unlike Spark:** {}", cell(difference)),
            None => String::new(),
        };
        let (signature, kind) = (cell(function.signature), kind(function.kind));
        let _ = writeln!(out, "| `{signature}` | {kind} | {}{aliases}{difference} |", cell(function.line));
    }
    out
}

fn kind(kind: FunctionKind) -> &'static str {
    match kind {
        FunctionKind::Scalar => "scalar",
        FunctionKind::Aggregate => "aggregate",
        FunctionKind::Generator => "generator",
        FunctionKind::Window => "window",
    }
}
