//! Columns: their types, time formats, and which of them is the event time.

use std::collections::HashMap;

use crate::finding::Place;
use crate::pipeline::{EventSchema, FileFormat, FileSource};
use crate::read::{Got, Item, Object, Reading};
use crate::types::{Field, SparkType, TimeFormat};
use crate::yaml::Mark;

/// Columns of a file's or source's events.
pub(super) struct Columns {
    pub schema: EventSchema,
    pub places: Vec<(String, Place)>,
    /// Otherwise wrong columns are left out, and their names are in `Reading::broken`.
    pub is_whole: bool,
}

/// `None` where there is none, or where no column can be told.
pub(super) fn schema(reading: &mut Reading<'_>, object: &Object<'_>, is_pushed: bool) -> Option<Columns> {
    let item = object.get("schema")?;
    let before = reading.errors();
    let mark = object.key_mark("schema").unwrap_or(item.mark);
    let fields = match &item.got {
        Got::Columns(fields) => {
            let mut sound = Vec::new();
            for field in fields {
                reserved(reading, &field.name, item.mark, is_pushed);
                if map_keys(reading, &field.data_type, item.mark) {
                    sound.push(field.clone());
                } else {
                    reading.broken.insert(field.name.to_lowercase());
                }
            }
            sound
        }
        Got::Map(items) => {
            for (name, mark, _) in items {
                reserved(reading, name, *mark, is_pushed);
            }
            fields(reading, items)
        }
        _ => return None,
    };
    if fields.is_empty() && object.is_sound("schema") && reading.errors() == before {
        let hint = "write `column: type` lines under it, or leave the key out to have it inferred";
        reading.error(mark, "`schema` is empty".to_owned(), Some(hint.to_owned()));
    }
    let is_whole = object.is_sound("schema") && reading.errors() == before;
    let places = match &item.got {
        Got::Map(items) => items.iter().map(|(name, mark, _)| ((*name).to_owned(), reading.place(*mark))).collect(),
        _ => fields.iter().map(|field| (field.name.clone(), reading.place(item.mark))).collect(),
    };
    (is_whole || !fields.is_empty()).then_some(Columns { schema: EventSchema { fields }, places, is_whole })
}

/// The event time's path: a column as it is called, else names with dots between; backticks hold a name together.
pub(super) fn time(
    reading: &mut Reading<'_>,
    text: &str,
    mark: Mark,
    schema: Option<&EventSchema>,
) -> Option<Vec<String>> {
    let whole = vec![text.to_owned()];
    if schema.is_some_and(|schema| schema.at(&whole).is_some()) {
        return checked_time(reading, whole, text, mark, schema);
    }
    let path = path(reading, text, mark)?;
    checked_time(reading, path, text, mark, schema)
}

/// A column, or a path within one.
pub(super) fn path(reading: &mut Reading<'_>, text: &str, mark: Mark) -> Option<Vec<String>> {
    let path = split_path(text);
    if path.is_none() {
        let hint = "write a column, or a path like `meta.sent_at`";
        reading.error(mark, format!("`{text}` is not a column's path"), Some(hint.to_owned()));
    }
    path
}

fn checked_time(
    reading: &mut Reading<'_>,
    path: Vec<String>,
    text: &str,
    mark: Mark,
    schema: Option<&EventSchema>,
) -> Option<Vec<String>> {
    let Some(schema) = schema else { return Some(path) };
    let field = field(reading, schema, &path, "the event time", mark)?;
    if matches!(field.data_type, SparkType::Timestamp(_) | SparkType::TimestampNtz(_) | SparkType::Date(_)) {
        return Some(path);
    }
    let message = format!("the event time `{text}` is a {}, not a timestamp or date", field.data_type);
    let hint = match field.data_type {
        SparkType::String => {
            format!("declare it as `{}: {{ type: timestamp, format: yyyy-MM-dd HH:mm:ss }}`", field.name)
        }
        SparkType::Int | SparkType::Long | SparkType::Double | SparkType::Float | SparkType::Decimal { .. } => {
            format!(
                "declare it as `{}: {{ type: timestamp, format: epoch_millis }}`, or epoch_seconds, epoch_micros",
                field.name
            )
        }
        _ => "name a column of type timestamp, timestamp_ntz or date".to_owned(),
    };
    reading.error(mark, message, Some(hint));
    None
}

/// CSV has no columns of other columns.
pub(super) fn flat(reading: &mut Reading<'_>, columns: &Columns, file: &FileSource) {
    let by_name = || file.path.to_str().is_some_and(|path| path.to_ascii_lowercase().ends_with(".csv"));
    if !matches!(file.format, Some(FileFormat::Csv(_))) && (file.format.is_some() || !by_name()) {
        return;
    }
    for (name, place) in &columns.places {
        let Some(field) = columns.schema.at(std::slice::from_ref(name)) else { continue };
        if matches!(field.data_type, SparkType::Struct(_) | SparkType::Array(_) | SparkType::Map(..)) {
            let message = format!("column `{name}`: CSV cannot hold the type {}", field.data_type);
            let hint = "leave it out of the schema, or read it as a string";
            reading.error_at(place.clone(), message, Some(hint.to_owned()));
        }
    }
}

/// The first columns' names, for a hint.
pub(super) fn listed(fields: &[Field]) -> String {
    let mut names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).take(20).collect();
    if fields.len() > names.len() {
        names.push("...");
    }
    names.join(", ")
}

/// Every column, and every field below one, by its path.
fn paths(fields: &[Field]) -> Vec<String> {
    let mut all = Vec::new();
    for field in fields {
        all.push(field.name.clone());
        if let SparkType::Struct(inner) = &field.data_type {
            all.extend(paths(inner).into_iter().map(|path| format!("{}.{path}", field.name)));
        }
    }
    all
}

/// The field at a path; `what` it is said to be.
pub(super) fn field<'s>(
    reading: &mut Reading<'_>,
    schema: &'s EventSchema,
    path: &[String],
    what: &str,
    mark: Mark,
) -> Option<&'s Field> {
    let field = schema.at(path);
    if field.is_none() {
        let (text, known) = (path.join("."), paths(&schema.fields));
        let hint = match crate::closest(&text, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("the columns are {}", listed(&schema.fields)),
        };
        reading.error(mark, format!("{what} `{text}` is not in the schema"), Some(hint));
    }
    field
}

/// `None` where it is not the path of a column.
pub(super) fn split_path(text: &str) -> Option<Vec<String>> {
    let mut path = vec![String::new()];
    let mut is_quoted = false;
    for c in text.chars() {
        match c {
            '`' => is_quoted = !is_quoted,
            '.' if !is_quoted => path.push(String::new()),
            c => path.last_mut()?.push(c),
        }
    }
    (!is_quoted && path.iter().all(|name| !name.trim().is_empty())).then_some(path)
}

fn reserved(reading: &mut Reading<'_>, name: &str, mark: Mark, is_pushed: bool) {
    let lower = name.to_lowercase();
    if lower.starts_with("__") {
        let message = format!("the column `{name}` starts with `__`, which Manade keeps for itself");
        reading.error(mark, message, Some("rename the column".to_owned()));
    } else if is_pushed && lower == "_meta" {
        let message = "the column `_meta` is added to the events of this source".to_owned();
        reading.error(mark, message, Some("leave it out of the schema: SQL can read it anyway".to_owned()));
    }
}

/// Of a mapping of names to types. What is wrong is reported and left out.
fn fields(reading: &mut Reading<'_>, items: &[(&str, Mark, Item<'_>)]) -> Vec<Field> {
    let mut fields = Vec::new();
    let mut lines: HashMap<String, usize> = HashMap::new();
    for (name, mark, item) in items {
        if let Some(first) = lines.insert(name.to_lowercase(), mark.line) {
            let message = format!("`{name}` stands twice, first in line {first}: names are compared without case");
            reading.error(*mark, message, Some("rename one of them".to_owned()));
            reading.broken.insert(name.to_lowercase());
            continue;
        }
        match field_type(reading, item) {
            Some(data_type) => fields.push(Field { name: (*name).to_owned(), data_type }),
            None => _ = reading.broken.insert(name.to_lowercase()),
        }
    }
    fields
}

fn field_type(reading: &mut Reading<'_>, item: &Item<'_>) -> Option<SparkType> {
    let object = match &item.got {
        Got::Type(data_type) => return map_keys(reading, data_type, item.mark).then(|| data_type.clone()),
        Got::Object(object) => object,
        _ => return None,
    };
    let (data_type, parts): (SparkType, &[&str]) = match &object.get("type")?.got {
        Got::Choice("struct") => (struct_type(reading, object, item.mark)?, &["fields"]),
        Got::Choice("array") => {
            let element = part(reading, object, "element", "array", item.mark)?;
            (SparkType::Array(Box::new(element)), &["element"])
        }
        Got::Choice(_) => {
            let key =
                if object.has("key") { part(reading, object, "key", "map", item.mark)? } else { SparkType::String };
            let value = part(reading, object, "value", "map", item.mark)?;
            let mark = object.get("key").map_or(item.mark, |key| key.mark);
            if !is_map_key(reading, &key, mark) {
                return None;
            }
            (SparkType::Map(Box::new(key), Box::new(value)), &["key", "value"])
        }
        Got::Type(data_type) => {
            let mark = object.get("type").map_or(item.mark, |item| item.mark);
            if !map_keys(reading, data_type, mark) {
                return None;
            }
            (data_type.clone(), &[])
        }
        _ => return None,
    };
    for key in ["fields", "element", "key", "value"].into_iter().filter(|key| !parts.contains(key)) {
        if let Some(mark) = object.key_mark(key) {
            let outer = match key {
                "fields" => "struct",
                "element" => "array",
                _ => "map",
            };
            let message = format!("`{key}` does not fit the type `{data_type}`");
            reading.error(mark, message, Some(format!("leave it out, or write `type: {outer}`")));
        }
    }
    with_format(reading, data_type, object)
}

/// Whether the keys of all maps in a type can be written in JSON.
fn map_keys(reading: &mut Reading<'_>, data_type: &SparkType, mark: Mark) -> bool {
    match data_type {
        SparkType::Map(key, value) => is_map_key(reading, key, mark) && map_keys(reading, value, mark),
        SparkType::Array(element) => map_keys(reading, element, mark),
        SparkType::Struct(fields) => fields.iter().all(|field| map_keys(reading, &field.data_type, mark)),
        _ => true,
    }
}

fn is_map_key(reading: &mut Reading<'_>, key: &SparkType, mark: Mark) -> bool {
    if *key == SparkType::String {
        return true;
    }
    let hint = "write `map<string, ...>`, and cast keys in SQL";
    reading.error(mark, format!("the keys of a map are strings in JSON, not {key}"), Some(hint.to_owned()));
    false
}

fn struct_type(reading: &mut Reading<'_>, object: &Object<'_>, mark: Mark) -> Option<SparkType> {
    let fields = fields(reading, object.map("fields"));
    if fields.is_empty() {
        if object.is_sound("fields") && object.map("fields").is_empty() {
            let hint = "write `fields: { name: type, ... }`";
            reading.error(mark, "a struct needs `fields`".to_owned(), Some(hint.to_owned()));
        }
        return None;
    }
    Some(SparkType::Struct(fields))
}

fn part(reading: &mut Reading<'_>, object: &Object<'_>, key: &str, outer: &str, mark: Mark) -> Option<SparkType> {
    let Some(item) = object.get(key) else {
        if object.is_sound(key) {
            let article = if outer == "array" { "an" } else { "a" };
            reading.error(
                mark,
                format!("{article} {outer} needs `{key}`"),
                Some(format!("write `{key}: string`, or another type")),
            );
        }
        return None;
    };
    field_type(reading, item)
}

fn with_format(reading: &mut Reading<'_>, data_type: SparkType, object: &Object<'_>) -> Option<SparkType> {
    let (Some(text), Some(item)) = (object.text("format"), object.get("format")) else { return Some(data_type) };
    let format = time_format(reading, text, item.mark)?;
    let is_epoch = !matches!(format, TimeFormat::Pattern(_));
    let (message, hint) = match data_type {
        SparkType::Timestamp(_) => return Some(SparkType::Timestamp(format)),
        SparkType::TimestampNtz(_) => return Some(SparkType::TimestampNtz(format)),
        SparkType::Date(_) if !is_epoch => return Some(SparkType::Date(format)),
        SparkType::Date(_) => (format!("a date cannot have the format `{text}`"), "write `type: timestamp`"),
        SparkType::Array(_) | SparkType::Map(..) | SparkType::Struct(_) => (
            format!("`format` does not fit the type `{data_type}`"),
            "give it to the inner type: `{ type: array, element: { type: timestamp, format: ... } }`",
        ),
        _ => (
            format!("`format` does not fit the type `{data_type}`"),
            "only timestamp, timestamp_ntz and date have a format",
        ),
    };
    reading.error(object.key_mark("format").unwrap_or(item.mark), message, Some(hint.to_owned()));
    None
}

/// The pattern itself is judged where it is compiled, in `manade-events`.
fn time_format(reading: &mut Reading<'_>, text: &str, mark: Mark) -> Option<TimeFormat> {
    match text {
        "epoch_seconds" => return Some(TimeFormat::EpochSeconds),
        "epoch_millis" => return Some(TimeFormat::EpochMillis),
        "epoch_micros" => return Some(TimeFormat::EpochMicros),
        _ => {}
    }
    let lower = text.to_lowercase();
    let near = if lower.contains("milli") || lower.ends_with("ms") {
        "epoch_millis"
    } else if lower.contains("micro") || lower.ends_with("us") {
        "epoch_micros"
    } else {
        "epoch_seconds"
    };
    if lower.contains("epoch") || lower.contains("unix") {
        reading.error(mark, format!("unknown format `{text}`"), Some(format!("did you mean `{near}`?")));
        return None;
    }
    let place = reading.place(mark);
    reading.patterns.push((text.to_owned(), place));
    Some(TimeFormat::Pattern(text.to_owned()))
}
