//! Query text to syntax tree: Spark's lexical rules over sqlparser.

use std::any::TypeId;
use std::collections::BTreeSet;

use datafusion::logical_expr::sqlparser::ast::BinaryOperator;
use datafusion::logical_expr::sqlparser::ast::{
    CastKind, DataType, Expr, Ident, Interval, ObjectName, Query, Statement, Value,
};
use datafusion::logical_expr::sqlparser::dialect::{Dialect, Precedence, SparkSqlDialect};
use datafusion::logical_expr::sqlparser::keywords::Keyword;
use datafusion::logical_expr::sqlparser::parser::{Parser, ParserError};
use datafusion::logical_expr::sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};

use crate::bind::Problem;
use crate::strings::{self, hide_raw};

/// Nested expressions and subqueries; sqlparser counts each level several times.
const DEEPEST: usize = 400;

/// Bounds the depth of left-deep chains (`a AND b AND ...`), which the parser builds without recursion.
const MOST_TOKENS: usize = 20_000;

/// One query, and nothing else.
pub fn parse(text: &str) -> Result<Query, Problem> {
    let tokens = tokens(text)?;
    let mut parser = Parser::new(&Spark).with_recursion_limit(DEEPEST).with_tokens_with_locations(tokens);
    let mut statements = parser.parse_statements().map_err(|error| problem(&error, text))?;
    // sqlparser takes the END of a block of statements for the end of the text.
    let rest = parser.peek_token();
    if rest.token != Token::EOF {
        return Err(Problem::new(rest.span.start, format!("expected the end of the query, found `{}`", rest.token))
            .hint("END closes CASE WHEN condition THEN value ELSE other"));
    }
    if statements.len() > 1 {
        return Err(Problem::new(START, format!("{} statements in one result", statements.len()))
            .hint("write one SELECT a result"));
    }
    match statements.pop() {
        Some(Statement::Query(query)) => Ok(*query),
        Some(other) => {
            let verb = other.to_string();
            let verb = verb.split_whitespace().next().unwrap_or_default().to_uppercase();
            Err(Problem::new(START, format!("`{verb}` is not a query"))
                .hint("a result is one SELECT; its rows go to the collection of the result's name by themselves"))
        }
        None => Err(Problem::new(START, "no query").hint("write a SELECT over events")),
    }
}

/// Every word of a query, in lower case.
pub fn words(text: &str) -> BTreeSet<String> {
    let word = |token: TokenWithSpan| match token.token {
        Token::Word(word) => Some(word.value.to_lowercase()),
        _ => None,
    };
    tokens(text).into_iter().flatten().filter_map(word).collect()
}

const START: Location = Location { line: 1, column: 1 };

/// Spark's dialect as sqlparser knows it, with what it lacks.
#[derive(Debug)]
struct Spark;

impl Dialect for Spark {
    fn dialect(&self) -> TypeId {
        TypeId::of::<SparkSqlDialect>()
    }

    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        SparkSqlDialect.is_delimited_identifier_start(ch)
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        SparkSqlDialect.is_identifier_start(ch)
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        SparkSqlDialect.is_identifier_part(ch)
    }

    fn supports_string_literal_backslash_escape(&self) -> bool {
        true
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_within_after_array_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_group_by_with_modifier(&self) -> bool {
        true
    }

    fn supports_lambda_functions(&self) -> bool {
        true
    }

    fn supports_select_wildcard_except(&self) -> bool {
        true
    }

    /// `struct(a AS b)`.
    fn supports_struct_literal(&self) -> bool {
        true
    }

    fn supports_nested_comments(&self) -> bool {
        true
    }

    fn supports_long_type_as_bigint(&self) -> bool {
        true
    }

    fn supports_values_as_table_factor(&self) -> bool {
        true
    }

    /// `INTERVAL '4 seconds'` is as good as `INTERVAL '4' SECOND`.
    fn require_interval_qualifier(&self) -> bool {
        false
    }

    fn supports_bang_not_operator(&self) -> bool {
        true
    }

    fn supports_select_item_multi_column_alias(&self) -> bool {
        true
    }

    fn supports_cte_without_as(&self) -> bool {
        true
    }

    /// `extract(YEAROFWEEK FROM day)`.
    fn allow_extract_custom(&self) -> bool {
        true
    }

    /// `CAST(x AS STRUCT<a: INT>)`, `struct(a.*)` and `INTERVAL 3 HOURS 5 MINUTES`, which sqlparser does not know.
    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        if nested_cast(parser) {
            return Some(parse_nested_cast(parser));
        }
        if wildcard(parser) {
            return Some(parser.parse_wildcard_expr());
        }
        long_interval(parser)
    }

    /// `||` binds as `+` does, and shifts less than that.
    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        match &parser.peek_token_ref().token {
            Token::StringConcat => Some(Ok(self.prec_value(Precedence::PlusMinus))),
            Token::ShiftLeft | Token::ShiftRight => Some(Ok(self.prec_value(Precedence::PlusMinus) - 1)),
            _ => None,
        }
    }

    /// `a DIV b` and shifts, of which sqlparser knows neither.
    fn parse_infix(&self, parser: &mut Parser, expr: &Expr, precedence: u8) -> Option<Result<Expr, ParserError>> {
        let op = if parser.parse_keyword(Keyword::DIV) {
            BinaryOperator::MyIntegerDivide
        } else if parser.consume_token(&Token::ShiftLeft) {
            BinaryOperator::PGBitwiseShiftLeft
        } else if parser.consume_token(&Token::ShiftRight) {
            if parser.consume_token(&Token::Gt) {
                BinaryOperator::Custom(UNSIGNED_SHIFT.to_owned())
            } else {
                BinaryOperator::PGBitwiseShiftRight
            }
        } else {
            return None;
        };
        let right = parser.parse_subexpr(precedence).map(Box::new);
        Some(right.map(|right| Expr::BinaryOp { left: Box::new(expr.clone()), op, right }))
    }
}

/// Java's shift that fills with zeros.
pub const UNSIGNED_SHIFT: &str = ">>>";

/// Whether a CAST to an array, map or struct follows.
fn nested_cast(parser: &Parser) -> bool {
    let keyword = |n: usize| match &parser.peek_nth_token_ref(n).token {
        Token::Word(word) => word.keyword,
        _ => Keyword::NoKeyword,
    };
    if !matches!(keyword(0), Keyword::CAST | Keyword::TRY_CAST) || parser.peek_nth_token_ref(1).token != Token::LParen {
        return false;
    }
    let mut depth = 0;
    for n in 1.. {
        match &parser.peek_nth_token_ref(n).token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            Token::EOF => return false,
            Token::Word(word) if depth == 1 && word.keyword == Keyword::AS => {
                return matches!(keyword(n + 1), Keyword::ARRAY | Keyword::MAP | Keyword::STRUCT)
                    && parser.peek_nth_token_ref(n + 2).token == Token::Lt;
            }
            _ => {}
        }
        if depth == 0 {
            return false;
        }
    }
    false
}

/// Whether `a.b.*` follows.
fn wildcard(parser: &Parser) -> bool {
    let token = |n: usize| &parser.peek_nth_token_ref(n).token;
    let names = (0..).step_by(2).take_while(|&n| matches!(token(n), Token::Word(_)) && *token(n + 1) == Token::Period);
    let names = names.count();
    names > 0 && *token(2 * names) == Token::Mul
}

/// An interval of several numbers with units, as the text that says the same.
fn long_interval(parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
    let word = |n: usize| matches!(parser.peek_nth_token_ref(n).token, Token::Word(_));
    let number = |n: usize| match &parser.peek_nth_token_ref(n).token {
        Token::Number(digits, _) | Token::SingleQuotedString(digits) => {
            digits.trim().parse::<f64>().is_ok().then(|| digits.trim().to_owned())
        }
        _ => None,
    };
    let interval = matches!(&parser.peek_token_ref().token, Token::Word(word) if word.keyword == Keyword::INTERVAL);
    let sign = usize::from(parser.peek_nth_token_ref(1).token == Token::Minus);
    let pairs = (0..).map(|pair| 1 + sign + 2 * pair).take_while(|&n| number(n).is_some() && word(n + 1));
    let pairs: Vec<usize> = pairs.collect();
    if !interval || pairs.len() < 2 {
        return None;
    }
    let texts: Vec<String> = pairs
        .iter()
        .map(|&n| format!("{} {}", number(n).unwrap_or_default(), parser.peek_nth_token_ref(n + 1).token))
        .collect();
    let text = format!("{}{}", if sign == 1 { "-" } else { "" }, texts.join(" "));
    let first = parser.peek_nth_token_ref(1).span;
    for _ in 0..=sign + 2 * pairs.len() {
        parser.advance_token();
    }
    Some(Ok(Expr::Interval(Interval {
        value: Box::new(Expr::Value(Value::SingleQuotedString(text).with_span(first))),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    })))
}

/// The type is kept as its text, in which a pipeline file would write it too.
fn parse_nested_cast(parser: &mut Parser) -> Result<Expr, ParserError> {
    let kind = if parser.parse_keyword(Keyword::TRY_CAST) { CastKind::TryCast } else { CastKind::Cast };
    if kind == CastKind::Cast {
        parser.expect_keyword(Keyword::CAST)?;
    }
    parser.expect_token(&Token::LParen)?;
    let expr = Box::new(parser.parse_expr()?);
    parser.expect_keyword(Keyword::AS)?;
    let (mut text, mut depth) = (String::new(), 0);
    loop {
        let next = parser.next_token();
        match &next.token {
            Token::RParen if depth == 0 => break,
            Token::EOF => return parser.expected("`)` behind the type", next),
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        text.push_str(&next.token.to_string());
        text.push(' ');
    }
    let data_type = DataType::Custom(ObjectName::from(vec![Ident::new(text.trim_end())]), Vec::new());
    Ok(Expr::Cast { kind, expr, data_type, array: false, format: None })
}

/// Tokens in which a number keeps its type suffix: `1.5D`, `3L`, `2BD`.
fn tokens(text: &str) -> Result<Vec<TokenWithSpan>, Problem> {
    let tokens = Tokenizer::new(&Spark, &hide_raw(text))
        .with_unescape(false)
        .tokenize_with_location()
        .map_err(|error| Problem::new(error.location, lower_first(&error.message)))?;
    if tokens.len() > MOST_TOKENS {
        return Err(Problem::new(START, format!("the query is longer than {MOST_TOKENS} words")));
    }
    let mut joined: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    for token in tokens {
        let suffix = match (&token.token, joined.last().map(|last| (&last.token, last.span.end))) {
            (Token::Word(word), Some((Token::Number(_, _), end)))
                if end == token.span.start
                    && matches!(word.value.to_ascii_uppercase().as_str(), "D" | "F" | "BD" | "S" | "Y" | "L") =>
            {
                Some(word.value.to_ascii_uppercase())
            }
            _ => None,
        };
        match (suffix, joined.last_mut()) {
            (Some(suffix), Some(last)) => {
                if let Token::Number(digits, _) = &mut last.token {
                    digits.push_str(&suffix);
                }
                last.span.end = token.span.end;
            }
            _ => strings::push(&mut joined, token),
        }
    }
    exists_of_arrays(&mut joined);
    Ok(joined)
}

/// `exists(xs, x -> ...)` is a function; sqlparser takes the word for EXISTS (SELECT ...) unless it is an identifier.
fn exists_of_arrays(tokens: &mut [TokenWithSpan]) {
    let mut last: Option<usize> = None;
    let mut opened = false;
    for i in 0..tokens.len() {
        if matches!(tokens[i].token, Token::Whitespace(_)) {
            continue;
        }
        match (&tokens[i].token, last) {
            (Token::Word(word), _) if word.keyword == Keyword::EXISTS => (last, opened) = (Some(i), false),
            (Token::LParen, Some(_)) if !opened => opened = true,
            (inner, Some(exists)) => {
                let query =
                    matches!(inner, Token::Word(word) if matches!(word.keyword, Keyword::SELECT | Keyword::WITH));
                if let (true, false, Token::Word(word)) = (opened, query, &mut tokens[exists].token) {
                    word.keyword = Keyword::NoKeyword;
                }
                last = None;
            }
            _ => {}
        }
    }
}

/// sqlparser puts the position at the end of its message.
fn problem(error: &ParserError, query: &str) -> Problem {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text.as_str(),
        ParserError::RecursionLimitExceeded => {
            return Problem::new(START, "the query is nested too deeply")
                .hint("split it: later results may read earlier ones");
        }
    };
    let (text, at) = match text.rsplit_once(" at Line: ") {
        Some((text, position)) => (text, location(position).unwrap_or(START)),
        None => (text, end(query)),
    };
    let word = foreign_word(query, at);
    let from = misspelt_from(query, at);
    let text = match text.strip_prefix("Expected: ").and_then(|rest| rest.rsplit_once(", found: ")) {
        Some((expected, "EOF")) => format!("the query ends where {expected} was expected"),
        Some((expected, found)) => format!("expected {expected}, found `{found}`"),
        None => lower_first(text),
    };
    let problem = Problem::new(at, text);
    match (from, word) {
        (Some(from), _) => problem.hint(format!("did you mean `FROM` in place of `{from}`?")),
        (None, Some(word)) => {
            problem.hint(format!("a name with letters other than a to z is written in backticks: `{word}`"))
        }
        (None, None) => problem,
    }
}

/// `SELECT a FORM events` is an alias and a word too many. Returns the alias, where there is no FROM.
fn misspelt_from(query: &str, at: Location) -> Option<String> {
    let words = tokens(query).ok()?.into_iter().filter(|token| !matches!(token.token, Token::Whitespace(_)));
    let before: Vec<TokenWithSpan> = words.take_while(|token| token.span.start < at).collect();
    let has_from =
        before.iter().any(|token| matches!(&token.token, Token::Word(word) if word.keyword == Keyword::FROM));
    let Token::Word(last) = &before.last()?.token else { return None };
    let is_near = manade_model::closest(&last.value.to_lowercase(), ["from"].into_iter()).is_some();
    (!has_from && is_near && before.len() > 2).then(|| last.value.clone())
}

/// The word at a place where a letter stands that is part of no plain name.
fn foreign_word(query: &str, at: Location) -> Option<String> {
    let line: Vec<char> = query.lines().nth(usize::try_from(at.line).ok()?.checked_sub(1)?)?.chars().collect();
    let at = usize::try_from(at.column).ok()?.checked_sub(1)?;
    let is_part = |c: &char| c.is_alphanumeric() || *c == '_';
    line.get(at).filter(|c| c.is_alphabetic() && !c.is_ascii())?;
    let start = line[..at].iter().rposition(|c| !is_part(c)).map_or(0, |before| before + 1);
    Some(line[start..].iter().take_while(|c| is_part(c)).collect())
}

/// `1, Column: 8`.
fn location(text: &str) -> Option<Location> {
    let (line, column) = text.split_once(", Column: ")?;
    Some(Location { line: line.parse().ok()?, column: column.trim().parse().ok()? })
}

/// Behind the last word.
fn end(query: &str) -> Location {
    let query = query.trim_end();
    let line = query.lines().count().max(1);
    let column = query.lines().last().map_or(1, |last| last.chars().count() + 1);
    Location { line: line as u64, column: column as u64 }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}
