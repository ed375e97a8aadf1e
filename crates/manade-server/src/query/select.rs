//! `select=` and `order=`.

use super::scanner::Scanner;
use super::{Item, OrderItem};
use crate::problem::Problem;

pub fn items(text: &str, columns: &[&str]) -> Result<Vec<Item>, Problem> {
    let mut scanner = Scanner::new(text);
    let mut items = Vec::new();
    if text.trim().is_empty() {
        return Ok(items);
    }
    loop {
        items.push(item(&mut scanner, columns, text)?);
        if scanner.at_end() {
            return Ok(items);
        }
        if !scanner.eat(",") {
            return Err(failed("select", text, scanner.rest()));
        }
    }
}

fn item(scanner: &mut Scanner, columns: &[&str], text: &str) -> Result<Item, Problem> {
    if scanner.rest().starts_with("...") {
        return Err(embedding(scanner.rest()));
    }
    if scanner.eat("*") {
        return Ok(Item::All);
    }
    let unexpected = |scanner: &Scanner| failed("select", text, scanner.rest());
    let mut field = scanner.field(columns).ok_or_else(|| unexpected(scanner))?;
    let mut alias = None;
    if !scanner.rest().starts_with("::") && scanner.eat(":") {
        if !field.path.is_empty() {
            return Err(failed("select", text, scanner.rest()));
        }
        alias = Some(field.name);
        if scanner.rest().starts_with("...") {
            return Err(embedding(scanner.rest()));
        }
        field = scanner.field(columns).ok_or_else(|| unexpected(scanner))?;
    }
    if matches!(scanner.peek(), Some('(' | '!')) {
        let is_aggregate = ["count", "sum", "avg", "min", "max"].contains(&field.name.as_str());
        return Err(if is_aggregate { aggregate(&field.name) } else { embedding(&field.name) });
    }
    if scanner.eat(".") {
        return Err(aggregate(scanner.rest()));
    }
    let mut cast = None;
    if scanner.eat("::") {
        let name = scanner.take_while(|c| c.is_ascii_alphanumeric() || c == '_' || c == ' ');
        cast = Some(name.trim().to_ascii_lowercase());
        if scanner.eat(".") {
            return Err(aggregate(scanner.rest()));
        }
    }
    Ok(Item::Field { field, cast, alias })
}

pub fn order(text: &str, columns: &[&str]) -> Result<Vec<OrderItem>, Problem> {
    let mut scanner = Scanner::new(text);
    let mut items = Vec::new();
    loop {
        let field = scanner.field(columns).ok_or_else(|| failed("order", text, scanner.rest()))?;
        if scanner.peek() == Some('(') {
            return Err(embedding(&field.name));
        }
        let mut item = OrderItem { field, descending: false, nulls_first: None };
        let mut direction = true;
        while scanner.eat(".") {
            let word = scanner.take_while(|c| c.is_ascii_alphanumeric() || c == '_');
            match word {
                "asc" if direction => item.descending = false,
                "desc" if direction => item.descending = true,
                "nullsfirst" if item.nulls_first.is_none() => item.nulls_first = Some(true),
                "nullslast" if item.nulls_first.is_none() => item.nulls_first = Some(false),
                "asc" | "desc" => {
                    return Err(failed("order", text, word)
                        .with_details(format!(
                            "unexpected \"{word}\": a direction is said once, right behind the column"
                        ))
                        .with_hint("write order=column.desc.nullslast"));
                }
                _ => {
                    let known = ["asc", "desc", "nullsfirst", "nullslast"];
                    return Err(failed("order", text, word)
                        .with_nearest(manade_model::closest(word, known.into_iter()))
                        .with_details(format!("unexpected \"{word}\", expecting asc, desc, nullsfirst or nullslast")));
                }
            }
            direction = false;
        }
        items.push(item);
        if scanner.at_end() {
            return Ok(items);
        }
        if !scanner.eat(",") {
            return Err(failed("order", text, scanner.rest()));
        }
    }
}

fn failed(parameter: &str, text: &str, rest: &str) -> Problem {
    let problem = Problem::syntax(format!("failed to parse {parameter} parameter ({text})"));
    match rest.chars().next() {
        Some(c) => problem.with_details(format!("unexpected '{c}' at \"{rest}\"")),
        None => problem.with_details("unexpected end of input"),
    }
    .with_hint("names with special characters are written in double quotes")
}

fn embedding(name: &str) -> Problem {
    let status = axum::http::StatusCode::BAD_REQUEST;
    Problem::new(status, "PGRST200", format!("could not find a relationship to embed: {name}"))
        .with_details("collections have no relationships, so nothing can be embedded")
        .with_hint("join in the result's SQL instead; a column whose name has brackets is written in double quotes")
}

fn aggregate(function: &str) -> Problem {
    let status = axum::http::StatusCode::BAD_REQUEST;
    Problem::new(status, "PGRST123", "aggregate functions in select are not allowed")
        .with_details(format!("at \"{function}\""))
        .with_hint("aggregate in the result's SQL instead; a column whose name has dots or brackets is written in double quotes")
}
