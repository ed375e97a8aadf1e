//! From read documents to validated types: what no single key shows, such as names that clash.

mod connection;
mod files;
mod schema;
mod sink;
mod source;
mod unit_test;

use std::collections::HashMap;

use crate::finding::{Finding, Place};
use crate::pipeline::{
    Draft, Emit, EventSchema, Events, HttpSource, Late, Name, Pipeline, ResultSpec, Retain, Sink, Source, Start, Table,
    Unread,
};
use crate::read::{Got, Item, Object, Reading};
use crate::yaml::Mark;

pub(crate) use connection::Connections;

/// What became of one pipeline's document.
pub(crate) struct Built {
    pub name: Option<(Name, Place)>,
    pub results: Vec<(Name, Place)>,
    /// `None` where it has no `spec` to speak of.
    pub draft: Option<Draft>,
    /// Whether there were no errors.
    pub is_sound: bool,
}

pub(crate) fn pipeline(
    reading: &mut Reading<'_>,
    document: &Object<'_>,
    connections: &Connections,
    errors_before: usize,
) -> Built {
    let name = document.object("metadata").and_then(|metadata| placed_name(reading, metadata));
    let mut built = Built { name: name.clone(), results: Vec::new(), draft: None, is_sound: false };
    if let Some(spec) = document.object("spec") {
        built.results = result_names(reading, spec);
        built.draft = Some(build(reading, spec, connections, name));
    }
    built.is_sound = reading.errors() == errors_before;
    built
}

/// Names that two pipelines or results of a platform share; later ones lose.
pub(crate) fn clashes(built: &mut [Built]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut pipelines: HashMap<Name, Place> = HashMap::new();
    let mut results: HashMap<Name, Place> = HashMap::new();
    let mut sinks: HashMap<String, Place> = HashMap::new();
    for part in built {
        let names = part.name.iter().map(|named| ("pipeline", named));
        for (what, (name, place)) in names.chain(part.results.iter().map(|named| ("result", named))) {
            let known = if what == "pipeline" { &mut pipelines } else { &mut results };
            if let Some(first) = known.get(name) {
                let hint = if what == "result" {
                    "rename one of them: a result's name is its collection's, unique in the platform"
                } else {
                    "rename one of them"
                };
                let message = format!("a second {what} is called `{name}`, the first is at {first}");
                findings.push(Finding::error(place.clone(), message).with_hint(hint));
                part.is_sound = false;
            } else {
                known.insert(name.clone(), place.clone());
            }
        }
        part.is_sound &= sink::clashes(part.draft.as_ref(), &mut sinks, &mut findings);
    }
    findings
}

fn build(
    reading: &mut Reading<'_>,
    spec: &Object<'_>,
    connections: &Connections,
    named: Option<(Name, Place)>,
) -> Draft {
    let mut unread = Unread::default();
    let source = spec.object("source").and_then(|source| source::source(reading, source, connections));
    let (events, is_schema_whole) = events(reading, spec, source.as_ref(), &mut unread);
    let tables = tables(reading, spec, &mut unread);
    let mut results = results(reading, spec, &tables, connections, &mut unread);
    let known_schema = events.schema.as_ref().filter(|_| is_schema_whole);
    let are_tables_known = spec.is_sound("tables") && tables.len() == spec.list("tables").len();
    let tests = unit_test::tests(reading, spec, known_schema, are_tables_known.then_some(tables.as_slice()));
    unread.words.append(&mut reading.broken);
    reading.gaps.clear();
    for result in &mut results {
        result.index.retain(|(column, _)| !unread.words.contains(&column.to_lowercase()));
    }
    let (name, place) = named.unwrap_or_else(|| (Name::stand_in(), reading.place(Mark { line: 1, column: 1 })));
    let patterns = std::mem::take(&mut reading.patterns);
    // One of which nothing is known may have any columns of its own.
    let source = source.unwrap_or(Source::Http(HttpSource { retain: Retain::default() }));
    Draft { pipeline: Pipeline { name, source, events, tables, results, tests, patterns, place }, unread }
}

/// And whether the schema is what the file says, all of it.
fn events(
    reading: &mut Reading<'_>,
    spec: &Object<'_>,
    source: Option<&Source>,
    unread: &mut Unread,
) -> (Events, bool) {
    let none = Object::empty();
    let pushed = spec.object("source").and_then(source::pushed);
    let events = spec.object("events").unwrap_or(&none);
    let columns = schema::schema(reading, events, pushed.is_some());
    if let Some((kind, mark)) = pushed
        && !events.has("schema")
        && events.is_sound("schema")
        && spec.is_sound("events")
    {
        let hint = "write the columns and their types under `spec.events.schema`";
        reading.error(mark, format!("the source `{kind}` needs `events.schema`"), Some(hint.to_owned()));
    }
    if let (Some(columns), Some(Source::File(file))) = (&columns, source) {
        schema::flat(reading, columns, file);
    }
    let is_whole = columns.as_ref().map_or(events.is_sound("schema") && !events.has("schema"), |c| c.is_whole);
    if let (Some(columns), Some(spec)) = (columns.as_ref().filter(|columns| columns.is_whole), spec.object("source")) {
        source::check_id(reading, spec, &columns.schema);
    }
    let (schema, column_places) = columns.map_or((None, Vec::new()), |columns| (Some(columns.schema), columns.places));
    let is_inferred = schema.is_none() && is_whole && (spec.has("events") || spec.is_sound("events"));
    if schema.is_none() && !(is_inferred && can_be_inferred(spec, source)) {
        unread.relations.insert("events".to_owned());
    }
    let (time, time_place) = event_time(reading, events, schema.as_ref(), is_whole, unread);
    let late = if events.choice("late") == Some("keep") { Late::Keep } else { Late::Drop };
    if late == Late::Keep
        && !events.has("time")
        && let Some(mark) = events.key_mark("late")
    {
        reading.note(
            mark,
            "`late` has no effect: events without `time` are never late",
            Some("name the event time's column: `time: column`"),
        );
    }
    let events = Events {
        schema,
        column_places,
        time,
        time_place,
        lateness: events.duration("lateness").unwrap_or_default(),
        late,
        coerce: events.flag("coerce").unwrap_or(false),
        max_event: events.size("maxEvent").unwrap_or(16 << 20),
    };
    (events, is_whole)
}

/// Not where the format is wrong: then the columns found would be wrong too.
fn can_be_inferred(spec: &Object<'_>, source: Option<&Source>) -> bool {
    let file = spec.object("source").and_then(|source| source.object("file"));
    matches!(source, Some(Source::File(_))) && file.is_some_and(is_format_sound)
}

fn is_format_sound(file: &Object<'_>) -> bool {
    ["format", "delimiter", "quote", "header"].iter().all(|key| file.is_sound(key))
}

fn event_time(
    reading: &mut Reading<'_>,
    events: &Object<'_>,
    schema: Option<&EventSchema>,
    is_whole: bool,
    unread: &mut Unread,
) -> (Option<Vec<String>>, Place) {
    let before = reading.errors();
    let (time, mark) = match events.get("time") {
        Some(Item { mark, got: Got::Text(text) }) => {
            (schema::time(reading, text, *mark, schema.filter(|_| is_whole)), *mark)
        }
        _ => (None, Mark { line: 1, column: 1 }),
    };
    // It may be one of the columns that are wrong.
    let time = time.filter(|path| is_whole || schema.is_some_and(|schema| schema.at(path).is_some()));
    let is_sound = reading.errors() == before && events.is_sound("time");
    if !is_sound || (time.is_none() && events.has("time")) {
        unread.without_time();
    }
    (time, reading.place(mark))
}

/// Those that can be read.
fn tables(reading: &mut Reading<'_>, spec: &Object<'_>, unread: &mut Unread) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    let mut lines: HashMap<Name, usize> = HashMap::new();
    unread.has_nameless |= reading.gaps.contains("tables") || (!spec.has("tables") && !spec.is_sound("tables"));
    let objects: Vec<&Object<'_>> = objects(spec, "tables").collect();
    for object in objects {
        let columns = schema::schema(reading, object, false);
        let is_whole = columns.as_ref().map_or(object.is_sound("schema"), |columns| columns.is_whole);
        let file = object.object("file");
        let is_whole = is_whole && file.is_some_and(is_format_sound);
        let file = file.and_then(|file| files::table_file(reading, file));
        let Some((name, place)) = placed_name(reading, object) else {
            unread.has_nameless = true;
            continue;
        };
        if name.as_str() == "events" {
            taken(reading, &place, "a table cannot be called `events`: that is what SQL calls the pipeline's events");
        } else if let Some(first) = lines.insert(name.clone(), place.line) {
            taken(reading, &place, &format!("a second table is called `{name}`, the first is in line {first}"));
        }
        match file {
            Some((path, place, format)) if is_whole => {
                let schema = columns.map(|columns| columns.schema);
                tables.push(Table { name, path, format, schema, place });
            }
            _ => _ = unread.relations.insert(name.to_string()),
        }
    }
    tables
}

/// Those whose SQL can be read.
fn results(
    reading: &mut Reading<'_>,
    spec: &Object<'_>,
    tables: &[Table],
    connections: &Connections,
    unread: &mut Unread,
) -> Vec<ResultSpec> {
    let mut results = Vec::new();
    unread.has_nameless |= reading.gaps.contains("results");
    let objects: Vec<&Object<'_>> = objects(spec, "results").collect();
    for object in objects {
        let named = placed_name(reading, object);
        if let Some((name, place)) = &named {
            if name.as_str() == "events" {
                taken(
                    reading,
                    place,
                    "a result cannot be called `events`: that is what SQL calls the pipeline's events",
                );
            } else if tables.iter().any(|table| table.name == *name) {
                taken(reading, place, &format!("a table of this pipeline is called `{name}` too"));
            }
        }
        let result = result(reading, object, connections);
        // Whether its rows can be read by another depends on `emit`.
        if result.is_none() || !object.is_sound("emit") {
            unread.relations.extend(named.as_ref().map(|(name, _)| name.to_string()));
        }
        unread.has_nameless |= named.is_none();
        results.extend(result);
    }
    results
}

fn result(reading: &mut Reading<'_>, object: &Object<'_>, connections: &Connections) -> Option<ResultSpec> {
    let (sinks, outside) = sink::sinks(reading, object, connections);
    if sinks == [Sink::Discard] {
        for key in ["retain", "index"] {
            if let Some(mark) = object.key_mark(key) {
                let message = format!("`{key}` has no effect: the rows are discarded");
                reading.note(mark, &message, Some("add the sink `collection`, or leave the key out"));
            }
        }
    }
    let index = index(reading, object);
    let limit = match object.get("limit") {
        Some(Item { got: Got::Count(limit), .. }) => Some(*limit),
        // A list that is bounded wrongly is not one without a bound.
        _ => (!object.is_sound("limit")).then_some(1),
    };
    let Some(Item { got: Got::Sql(sql), mark }) = object.get("sql") else { return None };
    let named = placed_name(reading, object);
    let (name, place) = named.unwrap_or_else(|| (Name::stand_in(), reading.place(*mark)));
    Some(ResultSpec {
        name,
        description: object.text("description").map(|text| text.trim().to_owned()),
        sql: sql.clone(),
        retain: object.get("retain").map(retain).unwrap_or_default(),
        emit_place: object.key_mark("emit").map_or_else(|| place.clone(), |mark| reading.place(mark)),
        emit: if object.choice("emit") == Some("final") { Emit::Final } else { Emit::Updates },
        sinks,
        outside,
        index,
        limit,
        start: if object.choice("start") == Some("latest") { Start::Latest } else { Start::Earliest },
        place,
    })
}

fn index(reading: &mut Reading<'_>, object: &Object<'_>) -> Vec<(String, Place)> {
    let mut index: Vec<(String, Place)> = Vec::new();
    for item in object.list("index") {
        let Got::Text(column) = item.got else { continue };
        if index.iter().any(|(known, _)| known.to_lowercase() == column.to_lowercase()) {
            let message = format!("the column `{column}` stands twice in `index`");
            reading.error(item.mark, message, Some("keep one of them".to_owned()));
        } else {
            index.push((column.to_owned(), reading.place(item.mark)));
        }
    }
    index
}

fn retain(item: &Item<'_>) -> Retain {
    match &item.got {
        Got::Duration(age) => Retain { age: Some(*age), size: None },
        Got::Size(size) => Retain { age: None, size: Some(*size) },
        Got::Object(object) => Retain { age: object.duration("age"), size: object.size("size") },
        _ => Retain::default(),
    }
}

fn result_names(reading: &Reading<'_>, spec: &Object<'_>) -> Vec<(Name, Place)> {
    objects(spec, "results").filter_map(|object| placed_name(reading, object)).collect()
}

fn placed_name(reading: &Reading<'_>, object: &Object<'_>) -> Option<(Name, Place)> {
    let item = object.get("name")?;
    let Got::Name(name) = &item.got else { return None };
    Some((name.clone(), reading.place(item.mark)))
}

fn objects<'o, 'a>(spec: &'o Object<'a>, key: &str) -> impl Iterator<Item = &'o Object<'a>> {
    spec.list(key).iter().filter_map(|item| if let Got::Object(object) = &item.got { Some(object) } else { None })
}

fn taken(reading: &mut Reading<'_>, place: &Place, message: &str) {
    let mark = Mark { line: place.line, column: place.column };
    reading.error(mark, message.to_owned(), Some("rename it".to_owned()));
}
