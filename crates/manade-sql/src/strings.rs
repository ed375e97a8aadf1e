//! Spark's string literals: escapes, raw strings (`r'\d'`), literals that stand side by side.

use datafusion::logical_expr::sqlparser::tokenizer::{Token, TokenWithSpan};

/// Stands for a backslash of a raw string while the tokenizer reads it, which would let it escape the closing quote.
const RAW_BACKSLASH: char = '\u{FDD0}';

/// The query with the backslashes of raw strings out of the tokenizer's sight; every character keeps its place.
pub fn hide_raw(query: &str) -> String {
    let mut out = String::with_capacity(query.len());
    let mut chars = query.chars().peekable();
    let mut before = ' ';
    while let Some(c) = chars.next() {
        out.push(c);
        match c {
            '-' if chars.peek() == Some(&'-') => out.extend(std::iter::from_fn(|| chars.next_if(|c| *c != '\n'))),
            '/' if chars.peek() == Some(&'*') => copy_comment(&mut chars, &mut out),
            '`' => copy_quoted(&mut chars, &mut out, c, Backslash::Plain),
            '\'' | '"' if matches!(before, 'r' | 'R') && !within_word(&out) => {
                copy_quoted(&mut chars, &mut out, c, Backslash::Hidden);
            }
            '\'' | '"' => copy_quoted(&mut chars, &mut out, c, Backslash::Escapes),
            _ => {}
        }
        before = c;
    }
    out
}

/// Replaces the tokens of string literals, as they were read without escapes, by one token with the text they mean.
pub fn push(tokens: &mut Vec<TokenWithSpan>, mut token: TokenWithSpan) {
    let (content, quote) = match &token.token {
        Token::SingleQuotedString(content) => (content, '\''),
        Token::DoubleQuotedString(content) => (content, '"'),
        Token::Word(word) if word.quote_style == Some('`') && word.value.contains("``") => {
            let mut word = word.clone();
            word.value = word.value.replace("``", "`");
            token.token = Token::Word(word);
            return tokens.push(token);
        }
        _ => return tokens.push(token),
    };
    let prefix = tokens.last().filter(|last| last.span.end == token.span.start);
    let raw = matches!(prefix, Some(TokenWithSpan { token: Token::Word(word), .. })
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case("r"));
    let text = if raw { raw_text(content, quote) } else { unescaped(content, quote) };
    if raw && let Some(prefix) = tokens.pop() {
        token.span.start = prefix.span.start;
    }
    let before = tokens.iter().rposition(|token| !matches!(token.token, Token::Whitespace(_)));
    if let Some(before) = before
        && let Token::SingleQuotedString(first) | Token::DoubleQuotedString(first) = &mut tokens[before].token
    {
        first.push_str(&text);
        tokens[before].span.end = token.span.end;
        return;
    }
    token.token = Token::SingleQuotedString(text);
    tokens.push(token);
}

#[derive(Clone, Copy, PartialEq)]
enum Backslash {
    Plain,
    Escapes,
    Hidden,
}

/// Up to and with the closing quote.
fn copy_quoted(chars: &mut impl Iterator<Item = char>, out: &mut String, quote: char, backslash: Backslash) {
    while let Some(c) = chars.next() {
        match (c, backslash) {
            ('\\', Backslash::Escapes) => {
                out.push(c);
                out.extend(chars.next());
            }
            ('\\', Backslash::Hidden) => out.push(RAW_BACKSLASH),
            _ => out.push(c),
        }
        if c == quote {
            return;
        }
    }
}

/// Comments nest.
fn copy_comment(chars: &mut std::iter::Peekable<std::str::Chars<'_>>, out: &mut String) {
    let mut depth = 1;
    out.extend(chars.next());
    while let (true, Some(c)) = (depth > 0, chars.next()) {
        out.push(c);
        match (c, chars.peek()) {
            ('*', Some('/')) => depth -= 1,
            ('/', Some('*')) => depth += 1,
            _ => continue,
        }
        out.extend(chars.next());
    }
}

/// Whether the prefix of the quote that `out` ends with belongs to a longer word, such as `for'x'`.
fn within_word(out: &str) -> bool {
    out.chars().rev().nth(2).is_some_and(|c| c.is_alphanumeric() || c == '_')
}

/// The first quote ends a raw string; what follows at once is a literal like any other.
fn raw_text(content: &str, quote: char) -> String {
    let doubled: String = [quote, quote].iter().collect();
    let (raw, rest) = content.split_once(&doubled).unwrap_or((content, ""));
    raw.replace(RAW_BACKSLASH, "\\") + &unescaped(rest, quote)
}

/// Spark's `ParserUtils.unescapeSQLString`: in UTF-16, of which `\u` writes units.
fn unescaped(content: &str, quote: char) -> String {
    let mut units = Vec::with_capacity(content.len());
    let mut rest = content;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '\\' => rest = escape(rest, &mut units),
            _ => units.extend_from_slice(c.encode_utf16(&mut [0; 2])),
        }
        if c == quote {
            // Doubled: the tokenizer would have ended the string at a single one.
            rest = rest.strip_prefix(quote).unwrap_or(rest);
        }
    }
    String::from_utf16_lossy(&units)
}

/// Reads what follows a backslash, and returns the rest.
fn escape<'t>(text: &'t str, units: &mut Vec<u16>) -> &'t str {
    let number = |start: usize, digits: usize, radix: u32| {
        let digits = text.get(start..start + digits)?;
        digits.chars().all(|c| c.is_digit(radix)).then(|| u32::from_str_radix(digits, radix).ok())?
    };
    let Some(first) = text.chars().next() else { return text };
    let (value, length) = match first {
        'u' if let Some(unit) = number(1, 4, 16) => {
            units.push(unit as u16);
            return &text[5..];
        }
        'U' if let Some(c) = number(1, 8, 16).and_then(char::from_u32) => (c, 9),
        '0' | '1' if let Some(c) = number(0, 3, 8).and_then(char::from_u32) => (c, 3),
        '0' => ('\0', 1),
        'b' => ('\u{8}', 1),
        'n' => ('\n', 1),
        'r' => ('\r', 1),
        't' => ('\t', 1),
        'Z' => ('\u{1a}', 1),
        // For LIKE, whose escapes these are.
        '%' | '_' => {
            units.push(u16::from(b'\\'));
            (first, 1)
        }
        other => (other, other.len_utf8()),
    };
    units.extend_from_slice(value.encode_utf16(&mut [0; 2]));
    &text[length..]
}
