//! `column=operator.value`, `and=(...)`, `or=(...)`.

use super::scanner::Scanner;
use super::{Comparison, Condition, Field, Is, Operands, Test};
use crate::problem::Problem;

/// Groups inside groups; a deeper one is refused rather than recursed into.
const MAX_DEPTH: usize = 32;

const OPERATORS: [&str; 13] =
    ["eq", "neq", "gt", "gte", "lt", "lte", "like", "ilike", "match", "imatch", "in", "is", "isdistinct"];

/// PostgREST's operators that need types or indexes which collections do not have.
const UNSUPPORTED: [&str; 12] = ["fts", "plfts", "phfts", "wfts", "cs", "cd", "ov", "sl", "sr", "nxr", "nxl", "adj"];

/// A filter whose value is all that stands behind `=`.
pub fn top_level(field: Field, key: &str, value: &str) -> Result<Condition, Problem> {
    let mut scanner = Scanner::new(value);
    let (negated, operator) = operator(&mut scanner, value, key)?;
    let test = match operator {
        Operator::Plain(name, quantifier) => {
            let operands = match quantifier {
                None => Operands { all: true, values: vec![scanner.rest().to_owned()] },
                Some(all) => Operands { all, values: braces(&mut scanner).ok_or_else(|| failed(value))? },
            };
            if quantifier.is_some() && !scanner.at_end() {
                return Err(failed(value));
            }
            with_operands(name, operands)
        }
        Operator::In => {
            let values = list(&mut scanner).filter(|_| scanner.at_end()).ok_or_else(|| failed_list(value))?;
            Test::In(values)
        }
        Operator::Is => Test::Is(is(scanner.rest())?),
        Operator::Distinct => Test::Distinct(scanner.rest().to_owned()),
    };
    Ok(Condition::Test { field, negated, test })
}

/// `(a.eq.1,or(b.gt.2,not.and(...)))`.
pub fn group(text: &str, any: bool, negated: bool, columns: &[&str]) -> Result<Condition, Problem> {
    let mut scanner = Scanner::new(text);
    let of = members(&mut scanner, text, columns, 0)?;
    if !scanner.at_end() {
        return Err(failed_logic(text, scanner.rest()));
    }
    Ok(Condition::Group { any, negated, of })
}

fn members(scanner: &mut Scanner, text: &str, columns: &[&str], depth: usize) -> Result<Vec<Condition>, Problem> {
    if depth >= MAX_DEPTH {
        return Err(Problem::syntax(format!("logic tree is nested more than {MAX_DEPTH} deep")));
    }
    if !scanner.eat("(") {
        return Err(failed_logic(text, scanner.rest()));
    }
    let mut of = Vec::new();
    loop {
        scanner.take_while(|c| c == ' ');
        of.push(member(scanner, text, columns, depth)?);
        scanner.take_while(|c| c == ' ');
        if scanner.eat(")") {
            return Ok(of);
        }
        if !scanner.eat(",") {
            return Err(failed_logic(text, scanner.rest()));
        }
    }
}

fn member(scanner: &mut Scanner, text: &str, columns: &[&str], depth: usize) -> Result<Condition, Problem> {
    for (prefix, any, negated) in
        [("and(", false, false), ("or(", true, false), ("not.and(", false, true), ("not.or(", true, true)]
    {
        if scanner.rest().starts_with(prefix) {
            scanner.eat(&prefix[..prefix.len() - 1]);
            let of = members(scanner, text, columns, depth + 1)?;
            return Ok(Condition::Group { any, negated, of });
        }
    }
    let field = scanner.field(columns).ok_or_else(|| failed_logic(text, scanner.rest()))?;
    if !scanner.eat(".") {
        return Err(failed_logic(text, scanner.rest()));
    }
    let name = field.name.clone();
    let (negated, operator) = operator(scanner, text, &name)?;
    let test = match operator {
        Operator::Plain(name, None) => {
            let value = element(scanner, &[',', ')']);
            with_operands(name, Operands { all: true, values: vec![value] })
        }
        Operator::Plain(name, Some(all)) => {
            let values = braces(scanner).ok_or_else(|| failed_logic(text, scanner.rest()))?;
            with_operands(name, Operands { all, values })
        }
        Operator::In => Test::In(list(scanner).ok_or_else(|| failed_list(text))?),
        Operator::Is => Test::Is(is(scanner.take_while(|c| c != ',' && c != ')'))?),
        Operator::Distinct => Test::Distinct(element(scanner, &[',', ')'])),
    };
    Ok(Condition::Test { field, negated, test })
}

enum Operator {
    /// With `(any)` (false) or `(all)` (true).
    Plain(Plain, Option<bool>),
    In,
    Is,
    Distinct,
}

enum Plain {
    Compare(Comparison),
    Like(bool),
    Match(bool),
}

fn with_operands(name: Plain, operands: Operands) -> Test {
    match name {
        Plain::Compare(comparison) => Test::Compare(comparison, operands),
        Plain::Like(insensitive) => Test::Like { insensitive, operands },
        Plain::Match(insensitive) => Test::Match { insensitive, operands },
    }
}

/// `not.`, the operator, its modifier and the dot behind them.
fn operator(scanner: &mut Scanner, text: &str, key: &str) -> Result<(bool, Operator), Problem> {
    let negated = scanner.eat("not.");
    let name = scanner.take_while(|c| c.is_ascii_alphabetic());
    let quantifier = if scanner.eat("(any)") {
        Some(false)
    } else if scanner.eat("(all)") {
        Some(true)
    } else {
        None
    };
    let operator = match name {
        "eq" => Operator::Plain(Plain::Compare(Comparison::Eq), quantifier),
        "neq" if quantifier.is_none() => Operator::Plain(Plain::Compare(Comparison::Neq), None),
        "gt" => Operator::Plain(Plain::Compare(Comparison::Gt), quantifier),
        "gte" => Operator::Plain(Plain::Compare(Comparison::Gte), quantifier),
        "lt" => Operator::Plain(Plain::Compare(Comparison::Lt), quantifier),
        "lte" => Operator::Plain(Plain::Compare(Comparison::Lte), quantifier),
        "like" => Operator::Plain(Plain::Like(false), quantifier),
        "ilike" => Operator::Plain(Plain::Like(true), quantifier),
        "match" => Operator::Plain(Plain::Match(false), quantifier),
        "imatch" => Operator::Plain(Plain::Match(true), quantifier),
        "in" if quantifier.is_none() => Operator::In,
        "is" if quantifier.is_none() => Operator::Is,
        "isdistinct" if quantifier.is_none() => Operator::Distinct,
        _ => return Err(unknown_operator(name, text, key)),
    };
    if scanner.eat(".") { Ok((negated, operator)) } else { Err(unknown_operator(name, text, key)) }
}

fn unknown_operator(name: &str, text: &str, key: &str) -> Problem {
    let problem = Problem::syntax(format!("failed to parse filter ({text})"));
    if UNSUPPORTED.contains(&name) {
        return problem
            .with_details(format!("the operator \"{name}\" is not supported"))
            .with_hint(format!("supported: {}", OPERATORS.join(", ")));
    }
    if OPERATORS.contains(&name) {
        return problem
            .with_details(format!("unexpected text behind the operator \"{name}\", or a modifier it does not take"))
            .with_hint(format!("write {key}={name}.value"));
    }
    let problem = problem.with_details(format!("unknown operator \"{name}\""));
    match manade_model::closest(name, OPERATORS.into_iter()) {
        Some(near) if !name.is_empty() => problem.with_nearest(Some(near)),
        _ => problem.with_hint(format!("write {key}=operator.value with one of: {}", OPERATORS.join(", "))),
    }
}

fn is(text: &str) -> Result<Is, Problem> {
    match text.trim().to_ascii_lowercase().as_str() {
        "null" => Ok(Is::Null),
        "not_null" => Ok(Is::NotNull),
        "true" => Ok(Is::True),
        "false" => Ok(Is::False),
        "unknown" => Ok(Is::Unknown),
        _ => Err(Problem::syntax(format!("failed to parse filter (is.{text})"))
            .with_details("\"is\" takes null, not_null, true, false or unknown")
            .with_hint("compare with other values by eq")),
    }
}

/// `(a,"b,c",d)`; `()` has no element.
fn list(scanner: &mut Scanner) -> Option<Vec<String>> {
    elements(scanner, "(", ')')
}

/// `{a,"b,c"}`.
fn braces(scanner: &mut Scanner) -> Option<Vec<String>> {
    elements(scanner, "{", '}')
}

fn elements(scanner: &mut Scanner, open: &str, close: char) -> Option<Vec<String>> {
    if !scanner.eat(open) {
        return None;
    }
    let mut values = Vec::new();
    if scanner.eat(close.encode_utf8(&mut [0; 4])) {
        return Some(values);
    }
    loop {
        values.push(element(scanner, &[',', close]));
        if scanner.eat(close.encode_utf8(&mut [0; 4])) {
            return Some(values);
        }
        if !scanner.eat(",") {
            return None;
        }
    }
}

/// Quoted text that is followed by one of `ends`, or all up to one of them.
fn element(scanner: &mut Scanner, ends: &[char]) -> String {
    if scanner.peek() == Some('"') {
        let mut ahead = Scanner::new(scanner.rest());
        let quoted = ahead.quoted();
        if let Some(text) = quoted
            && (ahead.at_end() || ahead.rest().starts_with(ends))
        {
            *scanner = ahead;
            return text;
        }
    }
    scanner.take_while(|c| !ends.contains(&c)).to_owned()
}

fn failed(text: &str) -> Problem {
    Problem::syntax(format!("failed to parse filter ({text})")).with_hint("any and all take a list in braces: {a,b}")
}

fn failed_list(text: &str) -> Problem {
    Problem::syntax(format!("failed to parse filter ({text})"))
        .with_details("\"in\" takes a list in brackets")
        .with_hint("write in.(a,b); an element with commas or brackets is written in double quotes")
}

fn failed_logic(text: &str, rest: &str) -> Problem {
    let problem = Problem::syntax(format!("failed to parse logic tree ({text})"));
    match rest.chars().next() {
        Some(c) => problem.with_details(format!("unexpected '{c}' at \"{rest}\"")),
        None => problem.with_details("unexpected end of input"),
    }
    .with_hint("write or=(a.eq.1,and(b.gt.2,c.is.null)); a value with commas or brackets is written in double quotes")
}
