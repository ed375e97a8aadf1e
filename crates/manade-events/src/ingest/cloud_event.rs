//! CloudEvents 1.0 over HTTP (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md>).

use std::ops::Range;

use base64::Engine as _;

use super::{Accepted, LineError, element_end, elements, one_error, push_line, split_document};
use crate::decoder::describe;
use crate::json::{Kind, Value, parse, write_string};
use crate::scan::{
    TOO_DEEP, check_event, key_start, loose_end, next_member, skip_space, string_end, value_end, value_start,
};

/// What every CloudEvent has.
const REQUIRED: [&str; 4] = ["specversion", "id", "source", "type"];

struct CloudEvent {
    data: Vec<u8>,
    /// A JSON object.
    attributes: String,
    identity: (String, String),
}

pub(super) fn structured(text: &str) -> Result<Accepted, Vec<LineError>> {
    let start = skip_space(text.as_bytes(), 0);
    let end = element_end(text, start, 1)?;
    if skip_space(text.as_bytes(), end) < text.len() {
        return Err(one_error(1, "text behind the event"));
    }
    let event = read(&text[start..end]).map_err(|reason| one_error(1, reason))?;
    Ok(accept(vec![event]))
}

pub(super) fn batch(text: &str) -> Result<Accepted, Vec<LineError>> {
    let start = skip_space(text.as_bytes(), 0);
    if text.as_bytes().get(start) != Some(&b'[') {
        return Err(one_error(1, "a batch of CloudEvents is an array"));
    }
    let (elements, mut errors) = elements(text, start)?;
    if !errors.is_empty() {
        return Err(errors);
    }
    let mut events = Vec::with_capacity(elements.len());
    for (index, element) in elements.into_iter().enumerate() {
        match read(element) {
            Ok(event) => events.push(event),
            Err(reason) => errors.push(LineError { line: index + 1, reason }),
        }
    }
    if errors.is_empty() { Ok(accept(events)) } else { Err(errors) }
}

pub(super) fn binary(text: &str, attributes: &[(String, String)]) -> Result<Accepted, Vec<LineError>> {
    let find = |name: &str| attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    if find("specversion").is_none() {
        return Err(one_error(1, "the CloudEvent has no header ce-specversion"));
    }
    check_attributes(find).map_err(|reason| one_error(1, reason))?;
    if text.as_bytes().get(skip_space(text.as_bytes(), 0)) != Some(&b'{') {
        return Err(one_error(1, "the data of the CloudEvent is not a JSON object"));
    }
    let mut accepted = split_document(text)?;
    let mut json = String::from("{");
    for (key, value) in attributes {
        push_member(key, |out| write_string(value, out), &mut json);
    }
    json.push('}');
    accepted.meta = Some(vec![Some(json)]);
    let identity = find("source").zip(find("id"));
    accepted.identities.extend(identity.map(|(source, id)| (source.to_owned(), id.to_owned())));
    Ok(accepted)
}

fn accept(events: Vec<CloudEvent>) -> Accepted {
    let mut data = Vec::new();
    for event in &events {
        push_line(&event.data, &mut data);
    }
    let accepted = Accepted::lines(data, events.len());
    let (meta, identities) = events.into_iter().map(|event| (Some(event.attributes), event.identity)).unzip();
    Accepted { meta: Some(meta), identities, ..accepted }
}

fn read(text: &str) -> Result<CloudEvent, String> {
    let event = match parse(text) {
        Err(fault) if fault.what == TOO_DEEP => {
            let data = deep_data(text).ok_or_else(|| describe(&fault, text))?;
            let shallow = format!("{}{{}}{}", &text[..data.start], &text[data.end..]);
            return Ok(CloudEvent { data: text[data].as_bytes().to_vec(), ..read(&shallow)? });
        }
        event => event.map_err(|fault| describe(&fault, text))?,
    };
    let Kind::Object(members) = &event.kind else { return Err("not a JSON object".to_owned()) };
    let find = |name: &str| match &event.member(name)?.kind {
        Kind::String(value) => Some(&**value),
        _ => None,
    };
    check_attributes(find)?;
    if event.member("time").is_some_and(|time| !matches!(time.kind, Kind::String(_) | Kind::Null)) {
        return Err(NO_TIME.to_owned());
    }
    let mut attributes = String::from("{");
    for (key, value) in members {
        if key != "data" && key != "data_base64" {
            push_member(key, |out| out.push_str(&text[value.span.clone()]), &mut attributes);
        }
    }
    attributes.push('}');
    let identity = (find("source").unwrap_or_default().to_owned(), find("id").unwrap_or_default().to_owned());
    Ok(CloudEvent { data: data(text, &event)?, attributes, identity })
}

/// Where `data` stands, an object that nests too deeply: it is an event all the same, and becomes a dead letter.
fn deep_data(text: &str) -> Option<Range<usize>> {
    let b = text.as_bytes();
    let mut at = skip_space(b, 0) + 1;
    loop {
        let key = key_start(b, skip_space(b, at)).ok()?;
        let (end, _) = string_end(b, key).ok()?;
        let start = value_start(b, end + 1).ok()?;
        let end_of_value = match value_end(b, start, 1) {
            Err(fault) if fault.what == TOO_DEEP => {
                let end_of_value = loose_end(b, start)?;
                return (&text[key..end] == "data" && b[start] == b'{').then_some(start..end_of_value);
            }
            found => found.ok()?,
        };
        match next_member(b, end_of_value).ok()? {
            (_, true) => return None,
            (next, false) => at = next,
        }
    }
}

fn data(text: &str, event: &Value<'_>) -> Result<Vec<u8>, String> {
    let not_an_object = || "the data of the CloudEvent is not a JSON object".to_owned();
    if let Some(data) = event.member("data") {
        if event.member("data_base64").is_some() {
            return Err("the CloudEvent has data and data_base64".to_owned());
        }
        let Kind::Object(_) = &data.kind else { return Err(not_an_object()) };
        return Ok(text[data.span.clone()].as_bytes().to_vec());
    }
    let Some(Kind::String(base64)) = event.member("data_base64").map(|data| &data.kind) else {
        return Err("the CloudEvent has no data".to_owned());
    };
    let data = base64::engine::general_purpose::STANDARD.decode(&**base64);
    let data = data.map_err(|_| "data_base64 is not base64".to_owned())?;
    let valid = simdutf8::basic::from_utf8(&data).is_ok() && check_event(&data).is_ok();
    if valid { Ok(data) } else { Err(not_an_object()) }
}

const NO_TIME: &str = "the CloudEvent's time is not an RFC 3339 timestamp";

fn check_attributes<'a>(find: impl Fn(&str) -> Option<&'a str>) -> Result<(), String> {
    if find("time").is_some_and(|time| !is_rfc_3339(time)) {
        return Err(NO_TIME.to_owned());
    }
    match REQUIRED.into_iter().find(|name| find(name).is_none_or(str::is_empty)) {
        Some(name) => Err(format!("the CloudEvent has no attribute {name}")),
        None if find("specversion") != Some("1.0") => Err("the CloudEvent's specversion is not 1.0".to_owned()),
        None => Ok(()),
    }
}

/// `yyyy-MM-ddThh:mm:ss[.f]` and `Z` or `[+-]hh:mm` (<https://datatracker.ietf.org/doc/html/rfc3339#section-5.6>).
fn is_rfc_3339(text: &str) -> bool {
    let text = text.to_ascii_uppercase();
    let Some((date, time)) = text.split_once('T') else { return false };
    let offset = time.strip_suffix('Z').map(|time| (time, "+00:00"));
    let split = || time.rfind(['+', '-']).map(|at| time.split_at(at));
    let Some((time, offset)) = offset.or_else(split) else { return false };
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let shaped = |text: &str, shape: &str| {
        text.len() == shape.len()
            && text.bytes().zip(shape.bytes()).all(|(byte, shape)| match shape {
                b'0' => byte.is_ascii_digit(),
                other => byte == other,
            })
    };
    // A leap second is one of the next minute for whoever has none.
    let time = time.strip_suffix(":60").map_or_else(|| time.to_owned(), |minute| format!("{minute}:59"));
    shaped(date, "0000-00-00")
        && shaped(&time, "00:00:00")
        && shaped(&offset[1..], "00:00")
        && offset[1..3] < *"24"
        && offset[4..] < *"60"
        && digits(fraction)
        && crate::datetime::parse_iso(&format!("{date}T{time}Z")).is_some()
}

fn push_member(key: &str, value: impl FnOnce(&mut String), out: &mut String) {
    if out.len() > 1 {
        out.push(',');
    }
    write_string(key, out);
    out.push(':');
    value(out);
}
