//! As much of Rust's grammar as the rules need.

/// The text with comments and the contents of string and character literals replaced by spaces; lines and byte
/// positions stay the same.
pub fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = literal_end(text, at);
        if end > at {
            for byte in &mut out[at..end] {
                if *byte != b'\n' {
                    *byte = b' ';
                }
            }
            at = end;
        } else {
            at += 1;
        }
    }
    // Multi-byte characters stand in literals and comments, or are left as they are: whole in both cases.
    String::from_utf8_lossy(&out).into_owned()
}

/// The same, without what is compiled for tests only: items behind `#[cfg(test)]`.
pub fn without_tests(blanked: &str) -> String {
    let mut out = blanked.as_bytes().to_vec();
    let mut from = 0;
    while let Some(found) = blanked[from..].find("#[cfg(test)]") {
        let start = from + found;
        let end = item_end(blanked, start + "#[cfg(test)]".len());
        for byte in &mut out[start..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        from = end;
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Functions with a body: name, first line (from 1), number of lines.
pub fn functions(blanked: &str) -> Vec<(String, usize, usize)> {
    let mut found = Vec::new();
    for start in words(blanked, "fn") {
        let name: String =
            blanked[start + 2..].trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        // A function pointer's type has no name.
        if name.is_empty() {
            continue;
        }
        let end = item_end(blanked, start);
        if blanked[..end].ends_with('}') {
            found.push((name, line_of(blanked, start), blanked[start..end].matches('\n').count() + 1));
        }
    }
    found
}

/// Where `word` stands by itself.
pub fn words<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word)
        .map(|(place, _)| place)
        .filter(move |place| !text[..*place].ends_with(part) && !text[place + word.len()..].starts_with(part))
}

/// Counts from 1.
pub fn line_of(text: &str, place: usize) -> usize {
    text[..place].matches('\n').count() + 1
}

/// Behind the item that starts at `start`: its closing brace, or its semicolon.
fn item_end(blanked: &str, start: usize) -> usize {
    let (mut round, mut braces) = (0_i32, 0_i32);
    for (place, byte) in blanked.bytes().enumerate().skip(start) {
        match byte {
            b'(' | b'[' => round += 1,
            b')' | b']' => round -= 1,
            b'{' => braces += 1,
            b'}' => braces -= 1,
            _ => {}
        }
        let ends = byte == b'}' && braces <= 0 || byte == b';' && braces == 0 && round == 0;
        if ends {
            return place + 1;
        }
    }
    blanked.len()
}

/// Behind the comment or literal that starts at `at`; `at` itself where none does.
fn literal_end(text: &str, at: usize) -> usize {
    let rest = &text.as_bytes()[at..];
    let word_before = at > 0 && (text.as_bytes()[at - 1].is_ascii_alphanumeric() || text.as_bytes()[at - 1] == b'_');
    match rest {
        [b'/', b'/', ..] => at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
        [b'/', b'*', ..] => at + block_comment(rest),
        [b'"', ..] => at + quoted(rest, b'"'),
        [b'\'', ..] => at + character(&text[at..]),
        [b'r', b'"' | b'#', ..] if !word_before || is_prefix(text, at) => at + raw_string(rest),
        _ => at,
    }
}

/// Whether the `r` at `at` follows a string prefix's `b` or `c`.
fn is_prefix(text: &str, at: usize) -> bool {
    let bytes = text.as_bytes();
    matches!(bytes[at - 1], b'b' | b'c')
        && (at == 1 || !(bytes[at - 2].is_ascii_alphanumeric() || bytes[at - 2] == b'_'))
}

fn block_comment(bytes: &[u8]) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < bytes.len() {
        match &bytes[at..] {
            [b'/', b'*', ..] => {
                depth += 1;
                at += 2;
            }
            [b'*', b'/', ..] => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    break;
                }
            }
            _ => at += 1,
        }
    }
    at
}

fn quoted(bytes: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text[1..].chars();
    match chars.next() {
        Some('\\') => quoted(text.as_bytes(), b'\''),
        Some(first) if chars.next() == Some('\'') => first.len_utf8() + 2,
        _ => 0,
    }
}

/// 0 where `r#` starts an identifier.
fn raw_string(bytes: &[u8]) -> usize {
    let hashes = bytes[1..].iter().take_while(|byte| **byte == b'#').count();
    if bytes.get(1 + hashes) != Some(&b'"') {
        return 0;
    }
    let closing: Vec<u8> = [b'"'].into_iter().chain(std::iter::repeat_n(b'#', hashes)).collect();
    let start = hashes + 2;
    let found = bytes[start..].windows(closing.len()).position(|window| window == closing);
    found.map_or(bytes.len(), |place| start + place + closing.len())
}
