//! Which documents of a folder are Manade's. A folder may hold other YAML: that is noted and skipped. What looks like a
//! misspelt resource of ours is an error.

use crate::read::{Object, Owner, Reading};
use crate::shape::{API_VERSION, DOCUMENTS, PIPELINE, Shape};
use crate::yaml::{Node, Value};

/// What `kind` says that the document is; `None` where it is no resource of ours.
pub(crate) fn shape(node: &Node) -> Option<&'static Shape> {
    let kind = text(node, "kind")?;
    DOCUMENTS.into_iter().find(|shape| shape.name == kind)
}

/// `None` where the document is no resource; then there is a finding.
pub(crate) fn read<'a>(reading: &mut Reading<'a>, node: &'a Node) -> Option<Object<'a>> {
    let (kind, shape) = (text(node, "kind"), shape(node));
    match text(node, "apiVersion") {
        Some(API_VERSION) => {}
        Some(other) if is_near(other) || shape.is_some_and(|shape| shape.name == PIPELINE.name) => {
            let entry = node.get("apiVersion")?;
            let message = format!("unknown apiVersion `{other}`");
            reading.error(entry.node.mark, message, Some(format!("this version of manade reads `{API_VERSION}`")));
            return None;
        }
        Some(_) => return skip(reading, node),
        None => return unversioned(reading, node, shape),
    }
    if let Some(kind) = kind
        && shape.is_none()
    {
        let entry = node.get("kind")?;
        let kinds = || DOCUMENTS.into_iter().map(|shape| shape.name);
        let hint = match crate::closest(kind, kinds()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                format!("the kinds are {}", kinds().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(" and "))
            }
        };
        reading.error(entry.node.mark, format!("unknown kind `{kind}`"), Some(hint));
        return None;
    }
    let Value::Map(entries) = &node.value else { return None };
    reading.document = shape.unwrap_or(&PIPELINE);
    Some(reading.object(reading.document, entries, Owner::document(node.mark)))
}

fn unversioned<'a>(reading: &mut Reading<'a>, node: &'a Node, shape: Option<&Shape>) -> Option<Object<'a>> {
    let Value::Map(entries) = &node.value else { return skip(reading, node) };
    let near = entries.iter().find(|entry| crate::closest(&entry.key, ["apiVersion"].into_iter()).is_some());
    let spec = node.get("spec").map(|entry| &entry.node);
    let is_ours = shape.is_some_and(|shape| shape.name == PIPELINE.name)
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

fn text<'a>(node: &'a Node, key: &str) -> Option<&'a str> {
    match &node.get(key)?.node.value {
        Value::Scalar(scalar) => Some(scalar.text.as_str()),
        Value::List(_) | Value::Map(_) => None,
    }
}

fn is_near(version: &str) -> bool {
    version.to_lowercase().contains("manade") || crate::closest(version, [API_VERSION].into_iter()).is_some()
}

fn skip<'a>(reading: &mut Reading<'a>, node: &Node) -> Option<Object<'a>> {
    reading.note(node.mark, "not a Manade resource, skipped", None);
    None
}
