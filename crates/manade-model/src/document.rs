//! Which documents of a folder are Manade's. A folder may hold other YAML: that is noted and skipped. What looks like a
//! misspelt resource of ours is an error.

use crate::read::{Object, Owner, Reading};
use crate::shape::{API_VERSION, PIPELINE};
use crate::yaml::{Node, Value};

/// `None` where the document is not a pipeline; then there is a finding.
pub(crate) fn read<'a>(reading: &mut Reading<'a>, node: &'a Node) -> Option<Object<'a>> {
    let text = |key: &str| match &node.get(key)?.node.value {
        Value::Scalar(scalar) => Some(scalar.text.as_str()),
        Value::List(_) | Value::Map(_) => None,
    };
    let kind = text("kind");
    match text("apiVersion") {
        Some(API_VERSION) => {}
        Some(other) if is_near(other) || kind == Some("Pipeline") => {
            let entry = node.get("apiVersion")?;
            let message = format!("unknown apiVersion `{other}`");
            reading.error(entry.node.mark, message, Some(format!("this version of manade reads `{API_VERSION}`")));
            return None;
        }
        Some(_) => return skip(reading, node),
        None => return unversioned(reading, node, kind),
    }
    if let Some(kind) = kind
        && kind != "Pipeline"
    {
        let entry = node.get("kind")?;
        let hint = match crate::closest(kind, ["Pipeline"].into_iter()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "the only kind is `Pipeline`".to_owned(),
        };
        reading.error(entry.node.mark, format!("unknown kind `{kind}`"), Some(hint));
        return None;
    }
    let Value::Map(entries) = &node.value else { return None };
    Some(reading.object(&PIPELINE, entries, Owner::document(node.mark)))
}

fn unversioned<'a>(reading: &mut Reading<'a>, node: &'a Node, kind: Option<&str>) -> Option<Object<'a>> {
    let Value::Map(entries) = &node.value else { return skip(reading, node) };
    let near = entries.iter().find(|entry| crate::closest(&entry.key, ["apiVersion"].into_iter()).is_some());
    let spec = node.get("spec").map(|entry| &entry.node);
    let is_ours = kind == Some("Pipeline")
        || spec.is_some_and(|spec| spec.get("source").is_some() && spec.get("results").is_some());
    match near {
        // A mapping or a list cannot be a version either.
        Some(entry) if is_ours || matches!(&entry.node.value, Value::Scalar(scalar) if is_near(&scalar.text)) => {
            let (message, hint) = if entry.key == "apiVersion" {
                ("`apiVersion` expects text".to_owned(), format!("write `apiVersion: {API_VERSION}`"))
            } else {
                (format!("unknown key `{}` in the document", entry.key), "did you mean `apiVersion`?".to_owned())
            };
            reading.error(entry.mark, message, Some(hint));
            None
        }
        None if is_ours => {
            let hint = format!("write `apiVersion: {API_VERSION}` above it");
            reading.error(node.mark, "`apiVersion` is missing in the document".to_owned(), Some(hint));
            None
        }
        _ => skip(reading, node),
    }
}

fn is_near(version: &str) -> bool {
    version.to_lowercase().contains("manade") || crate::closest(version, [API_VERSION].into_iter()).is_some()
}

fn skip<'a>(reading: &mut Reading<'a>, node: &Node) -> Option<Object<'a>> {
    reading.note(node.mark, "not a Manade resource, skipped", None);
    None
}
