//! `parse_url`: the parts of a URL as `java.net.URI` finds them, null where it finds none.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use datafusion::common::Result;
use regex::Regex;

use crate::columns::{At, strings, texts};
use crate::function::Arg::Text;
use crate::function::{Function, Returns};

pub(crate) static FUNCTIONS: &[Function] =
    &[Function::new("parse_url", &[Text, Text, Text], Returns::Is(|| DataType::Utf8View), parse_url)
        .optional(1)
        .aliases(&["try_parse_url"])
        .doc(
            "parse_url(url, part[, key])",
            "HOST, PATH, QUERY, REF, PROTOCOL, FILE, AUTHORITY or USERINFO of a URL, or the value of a key of its QUERY; null if there is none.",
        )];

fn parse_url(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (urls, parts) = (strings(&args[0]), strings(&args[1]));
    let mut last: Option<(&str, Option<Regex>)> = None;
    texts(urls.len(), |i| {
        let (url, part) = (Url::of(urls.at(i)?)?, parts.at(i)?);
        let Some(keys) = args.get(2).map(strings) else { return url.part(part) };
        let key = keys.at(i)?;
        if last.as_ref().is_none_or(|(known, _)| *known != key) {
            last = Some((key, Regex::new(&format!("(?:&|^){key}=([^&]*)")).ok()));
        }
        let query = url.query.filter(|_| part == "QUERY")?;
        Some(last.as_ref()?.1.as_ref()?.captures(query)?.get(1)?.as_str().to_owned())
    })
}

#[derive(Default)]
struct Url<'u> {
    scheme: Option<&'u str>,
    authority: Option<&'u str>,
    user: Option<&'u str>,
    host: Option<&'u str>,
    path: Option<&'u str>,
    query: Option<&'u str>,
    fragment: Option<&'u str>,
}

/// Beside letters, digits and escapes.
const PATH: &str = "_-!.~'()*:@&=+$,;/";
const ANY: &str = "_-!.~'()*;/?:@&=+$,[]";
const USER: &str = "_-!.~'()*;:&=+$,";
const REGISTRY: &str = "_-!.~'()*$,;:@&=+";
const SERVER: &str = "_-!.~'()*;:&=+$,@[]";

impl<'u> Url<'u> {
    /// RFC 2396 with Java's deviations from it.
    fn of(text: &'u str) -> Option<Self> {
        let mut url = Self::default();
        let (text, fragment) = cut(text, '#');
        url.fragment = fragment;
        let scheme = text.find([':', '/', '?']).filter(|at| text[*at..].starts_with(':'));
        let rest = match scheme {
            Some(at) => {
                let scheme = &text[..at];
                let plain = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
                (scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(plain)).then_some(())?;
                url.scheme = Some(scheme);
                &text[at + 1..]
            }
            None => text,
        };
        if url.scheme.is_some() && !rest.starts_with('/') {
            // Opaque, such as mailto:a@b.c.
            (!rest.is_empty() && sound(rest, ANY)).then_some(())?;
        } else {
            url.hierarchy(rest)?;
        }
        url.fragment.is_none_or(|fragment| sound(fragment, ANY)).then_some(url)
    }

    fn hierarchy(&mut self, text: &'u str) -> Option<()> {
        let (text, query) = cut(text, '?');
        let mut path = text;
        if let Some(rest) = text.strip_prefix("//") {
            let (authority, tail) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
            if authority.is_empty() {
                (!tail.is_empty() || query.is_some() || self.fragment.is_some()).then_some(())?;
            } else {
                self.authority(authority)?;
            }
            path = tail;
        }
        (sound(path, PATH) && query.is_none_or(|query| sound(query, ANY))).then_some(())?;
        (self.path, self.query) = (Some(path), query);
        Some(())
    }

    /// A server (`user@host:port`), or a name of some registry, which has neither user nor host.
    fn authority(&mut self, text: &'u str) -> Option<()> {
        let registry = sound(text, REGISTRY);
        let server = sound(text, SERVER).then(|| server(text)).flatten();
        if let Some((user, host)) = server {
            (self.user, self.host) = (user, Some(host));
        } else if !registry {
            return None;
        }
        self.authority = Some(text);
        Some(())
    }

    fn part(&self, name: &str) -> Option<String> {
        let part = match name {
            "HOST" => self.host,
            "PATH" => self.path,
            "QUERY" => self.query,
            "REF" => self.fragment,
            "PROTOCOL" => self.scheme,
            "AUTHORITY" => self.authority,
            "USERINFO" => self.user,
            "FILE" => {
                let path = self.path?;
                return Some(self.query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}")));
            }
            _ => None,
        };
        part.map(str::to_owned)
    }
}

fn cut(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, behind)| (before, Some(behind)))
}

/// Letters, digits, characters beyond ASCII that are no space or control, `%` with two digits, and those of `more`.
fn sound(text: &str, more: &str) -> bool {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        let fits = match c {
            '%' => rest.get(..2).is_some_and(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit())),
            c if c.is_ascii() => c.is_ascii_alphanumeric() || more.contains(c),
            c => !c.is_control() && !c.is_whitespace(),
        };
        if !fits {
            return false;
        }
    }
    true
}

/// User and host of `user@host:port`.
fn server(text: &str) -> Option<(Option<&str>, &str)> {
    let (user, rest) = match text.split_once('@') {
        Some((user, rest)) => (Some(user), rest),
        None => (None, text),
    };
    user.is_none_or(|user| sound(user, USER)).then_some(())?;
    let end = match rest.strip_prefix('[') {
        Some(inner) => {
            let end = inner.find(']')?;
            let address = inner[..end].split('%').next().unwrap_or_default();
            address.parse::<std::net::Ipv6Addr>().ok()?;
            end + 2
        }
        None => rest.find(':').unwrap_or(rest.len()),
    };
    let (host, port) = rest.split_at(end);
    let port = if port.is_empty() { "" } else { port.strip_prefix(':')? };
    (port.is_empty() || port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<i32>().is_ok()).then_some(())?;
    (host.starts_with('[') || is_address(host) || is_host_name(host)).then_some((user, host))
}

fn is_address(host: &str) -> bool {
    let numbers: Vec<&str> = host.split('.').collect();
    numbers.len() == 4 && numbers.iter().all(|n| n.bytes().all(|b| b.is_ascii_digit()) && n.parse::<u8>().is_ok())
}

/// Labels of letters, digits and inner hyphens, the last of several beginning with a letter.
fn is_host_name(host: &str) -> bool {
    let labels: Vec<&str> = host.strip_suffix('.').unwrap_or(host).split('.').collect();
    let plain = |label: &&str| {
        label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && label.starts_with(|c: char| c.is_ascii_alphanumeric())
            && label.ends_with(|c: char| c.is_ascii_alphanumeric())
    };
    let last = labels.last().copied().unwrap_or_default();
    labels.iter().all(plain) && (labels.len() == 1 || last.starts_with(|c: char| c.is_ascii_alphabetic()))
}
