//! URLs of brokers and stores: `scheme://user@host:port,host:port/path?key=value`. A password is none of their parts.

use std::borrow::Cow;
use std::fmt;

#[cfg(test)]
mod tests;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    pub scheme: String,
    /// Percent-decoded.
    pub user: Option<String>,
    /// One at least.
    pub hosts: Vec<Host>,
    /// Behind the first slash behind the hosts, percent-decoded; `None` without that slash.
    pub path: Option<String>,
    /// Percent-decoded, in order.
    pub query: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// A name, an IPv4 address, or an IPv6 address without its brackets.
    pub name: String,
    pub port: Option<u16>,
}

/// What is wrong with a URL; never holds any of its text that could be a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlError {
    pub message: String,
    pub hint: String,
}

impl Url {
    /// With one of these schemes.
    pub fn parse(text: &str, schemes: &[&str]) -> Result<Self, UrlError> {
        let example = schemes.first().copied().unwrap_or_default();
        let like = format!("write it like `{example}://user@host`");
        let (scheme, rest) = text.split_once("://").ok_or_else(|| error("it has no `://`", &like))?;
        if !schemes.contains(&scheme) {
            let known: Vec<String> = schemes.iter().map(|scheme| format!("`{scheme}://`")).collect();
            return Err(error(&format!("it does not begin with {}", known.join(" or ")), &like));
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, behind) = rest.split_at(end);
        // A password may hold an `@` that should have been encoded.
        let (user, hosts) = match authority.rsplit_once('@') {
            Some((user, hosts)) => (Some(user), hosts),
            None => (None, authority),
        };
        if user.is_some_and(|user| user.contains(':'))
            || rest.rsplit_once('@').is_some_and(|(user, _)| has_password(user))
        {
            let hint = "take it out and write `password: { env: NAME }` or `password: { file: PATH }` beside the url";
            return Err(error("it has a password in it", hint));
        }
        let (path, query) = match behind.split_once('?') {
            Some((path, query)) => (path, query),
            None => (behind, ""),
        };
        Ok(Self {
            scheme: scheme.to_owned(),
            user: user.map(decoded).transpose()?.filter(|user| !user.is_empty()),
            hosts: hosts.split(',').map(host).collect::<Result<_, _>>()?,
            path: path.strip_prefix('/').map(decoded).transpose()?,
            query: pairs(query)?,
        })
    }

    /// Host and port of the first.
    pub fn first(&self, default_port: u16) -> (&str, u16) {
        let first = self.hosts.first().expect("a URL has a host");
        (&first.name, first.port.unwrap_or(default_port))
    }
}

/// For messages and logs.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://", self.scheme)?;
        for (at, host) in self.hosts.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            match (host.name.contains(':'), host.port) {
                (false, None) => write!(f, "{comma}{}", host.name)?,
                (false, Some(port)) => write!(f, "{comma}{}:{port}", host.name)?,
                (true, None) => write!(f, "{comma}[{}]", host.name)?,
                (true, Some(port)) => write!(f, "{comma}[{}]:{port}", host.name)?,
            }
        }
        Ok(())
    }
}

/// `user:password`, where the password has a slash or question mark that should have been encoded.
fn has_password(user: &str) -> bool {
    let before = user.find(['/', '?']).unwrap_or(user.len());
    user[..before].split_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_err())
}

fn host(text: &str) -> Result<Host, UrlError> {
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (name, behind) =
                rest.split_once(']').ok_or_else(|| error("`[` is not closed", "write it like `[::1]`"))?;
            (name, behind.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    if name.is_empty() || !name.chars().all(is_name) {
        return Err(error("its host is no name and no address", "write a name or an address behind `://`"));
    }
    let port = port.map(|port| match port.parse::<u16>() {
        Ok(port) if port > 0 => Ok(port),
        _ => Err(error("its port is no number from 1 to 65535", "write it like `host:5672`, or leave the port out")),
    });
    Ok(Host { name: name.to_owned(), port: port.transpose()? })
}

fn pairs(query: &str) -> Result<Vec<(String, String)>, UrlError> {
    let pair = |text: &str| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        Ok((decoded(key)?, decoded(value)?))
    };
    query.split('&').filter(|text| !text.is_empty()).map(pair).collect()
}

fn decoded(text: &str) -> Result<String, UrlError> {
    let hint = "write special characters as `%` and two hexadecimal digits, `%` itself as `%25`";
    let is_whole = |part: &str| part.len() >= 2 && part.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if !text.split('%').skip(1).all(is_whole) {
        return Err(error("there is a `%` without two hexadecimal digits behind it", hint));
    }
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.map(Cow::into_owned).map_err(|_| error("a part of it is not UTF-8", hint))
}

fn error(message: &str, hint: &str) -> UrlError {
    UrlError { message: message.to_owned(), hint: hint.to_owned() }
}
