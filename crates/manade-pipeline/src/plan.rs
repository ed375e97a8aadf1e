//! From a pipeline's file to what runs: schemas are settled, SQL is compiled, decoders are made.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use manade_events::{Decoder, DecoderOptions, InferError, Inferred, arrow_schema};
use manade_model::{
    Draft, Emit, EventSchema, FileFormat, Finding, OutsideSink, OutsideTarget, Pipeline, Place, ResultSpec, RowColumn,
    Severity, Source, SparkType, Sql, Start, Unread,
};
use manade_sql::{Catalog, Input, Query, Stage, Upstream};

use crate::collection::CollectionInfo;
use crate::lookup::is_indexable;
use crate::progress::Definition;
use crate::source::RecordFormat;
use crate::source::discover::Selection;
use crate::source::file::{format_by_name, record_format};
use crate::tables::{self, TableSource};
use crate::view::info_of;

/// A pipeline that can run.
#[derive(Clone)]
pub struct Plan {
    pub pipeline: Pipeline,
    pub schema: EventSchema,
    /// The schema was not written but found in the first events.
    pub inferred: bool,
    /// Events carry CloudEvents attributes.
    pub meta: bool,
    pub results: Vec<PlannedResult>,
    pub tables: Vec<TableSource>,
}

#[derive(Clone)]
pub struct PlannedResult {
    pub spec: ResultSpec,
    pub definition: Definition,
    pub query: Arc<Query>,
}

/// One decoder for each way in which a source's records may be written.
pub struct Decoders {
    lines: Option<Decoder>,
    elements: Option<Decoder>,
    csv: Option<Decoder>,
}

/// Schemata that were inferred when a pipeline first ran: they hold for later runs.
#[derive(Debug, Clone, Default)]
pub struct Fixed {
    pub events: Option<EventSchema>,
    /// By table.
    pub tables: BTreeMap<String, EventSchema>,
}

/// Compiles a pipeline. Reads its tables, and the first events where no schema is written and none was fixed before.
/// The findings hold every problem; there is no plan where one of them is an error.
pub fn plan(pipeline: &Pipeline, fixed: &Fixed) -> (Option<Plan>, Vec<Finding>) {
    compile(pipeline, fixed, Unread::default())
}

/// What compiling shows to be wrong with a pipeline that has errors already, and does not follow from these.
pub fn judge(draft: &Draft, fixed: &Fixed) -> Vec<Finding> {
    compile(&draft.pipeline, fixed, draft.unread.clone()).1
}

fn compile(pipeline: &Pipeline, fixed: &Fixed, mut unread: Unread) -> (Option<Plan>, Vec<Finding>) {
    let mut findings = Vec::new();
    let tables = tables::sources(&pipeline.tables, &fixed.tables, &mut findings);
    let is_read = |name: &str| tables.iter().any(|table| table.name == name);
    let names = pipeline.tables.iter().map(|table| table.name.to_string());
    unread.relations.extend(names.filter(|name| !is_read(name)));
    let (schema, inferred) = match (&pipeline.events.schema, &fixed.events) {
        (Some(schema), _) => (Some(schema.clone()), false),
        (None, Some(schema)) => (Some(schema.clone()), true),
        (None, None) if unread.relations.contains("events") => (None, true),
        (None, None) => (infer(pipeline, &mut findings), true),
    };
    check_source(pipeline, &mut findings);
    check_patterns(pipeline, &mut findings);
    match &schema {
        Some(schema) if !check_time(pipeline, schema, &mut findings) => unread.without_time(),
        Some(_) => {}
        None => _ = unread.relations.insert("events".to_owned()),
    }
    let schema = schema.unwrap_or(EventSchema { fields: Vec::new() });
    let results = results(pipeline, &schema, &tables, unread, &mut findings);
    check_tests(pipeline, &tables, &results, &mut findings);
    let failed = findings.iter().any(|f| f.severity == Severity::Error);
    let meta = pipeline.source.is_pushed();
    let plan = Plan { pipeline: pipeline.clone(), schema, inferred, meta, results, tables };
    ((!failed).then_some(plan), findings)
}

/// Compiles a stored definition, to read rows without the platform's files.
pub fn recompile(definition: &Definition) -> Result<Query, Vec<Finding>> {
    let earlier = definition.upstream.as_deref().into_iter().chain(&definition.inlined);
    let upstream = earlier.map(|earlier| recompile(earlier).map(|query| upstream_of(earlier, &query)));
    let upstream = upstream.collect::<Result<_, _>>()?;
    let tables = definition.tables.iter().map(|(name, schema)| (name.clone(), arrow_schema(schema))).collect();
    let catalog = Catalog {
        events: event_columns(&definition.events, definition.meta),
        time: definition.time.clone(),
        tables,
        upstream,
        later: Vec::new(),
    };
    manade_sql::compile(&spec_of(definition), &catalog)
}

impl Decoders {
    pub fn new(plan: &Plan) -> Result<Self, manade_events::DecoderError> {
        let reads = plan.reads();
        let make = |format: manade_events::Format| {
            let events = &plan.pipeline.events;
            let options = DecoderOptions {
                format,
                time: events.time.clone(),
                coerce: events.coerce,
                max_event: events.max_event,
                meta: plan.meta,
            };
            Decoder::new(&plan.schema, Some(&reads), options)
        };
        let mut decoders = Self { lines: None, elements: None, csv: None };
        for format in plan.formats() {
            match record_format(&format) {
                RecordFormat::Lines => decoders.lines = Some(make(manade_events::Format::Lines)?),
                RecordFormat::Elements => decoders.elements = Some(make(manade_events::Format::Elements)?),
                RecordFormat::Csv => {
                    let FileFormat::Csv(options) = format else { continue };
                    decoders.csv = Some(make(manade_events::Format::Csv(options))?);
                }
            }
        }
        Ok(decoders)
    }

    pub fn of(&self, format: RecordFormat) -> Option<&Decoder> {
        match format {
            RecordFormat::Lines => self.lines.as_ref(),
            RecordFormat::Elements => self.elements.as_ref(),
            RecordFormat::Csv => self.csv.as_ref(),
        }
    }
}

impl Plan {
    /// What positions in the source count.
    pub fn source_kind(&self) -> &'static str {
        match self.pipeline.source {
            Source::File(_) => "file",
            Source::Http(_) => "http",
            Source::RabbitMq(_) => "rabbitmq",
        }
    }

    /// Of the results that keep rows, in order.
    pub fn collections(&self) -> Vec<CollectionInfo> {
        let info = |result: &PlannedResult| info_of(self.pipeline.name.as_str(), &result.definition, &result.query);
        self.results.iter().filter_map(info).collect()
    }

    /// Microseconds.
    pub fn lateness(&self) -> i64 {
        i64::try_from(self.pipeline.events.lateness.as_micros()).unwrap_or(i64::MAX)
    }

    /// Event paths that any result reads.
    fn reads(&self) -> Vec<Vec<String>> {
        let of_events = self.results.iter().filter(|r| r.query.input == Input::Events);
        let mut reads: Vec<Vec<String>> = of_events.flat_map(|r| r.query.reads.iter().cloned()).collect();
        reads.sort();
        reads.dedup();
        reads
    }

    /// The formats that the source's records may have.
    fn formats(&self) -> Vec<FileFormat> {
        let by_name = |name: &str| format_by_name(name.as_ref());
        match &self.pipeline.source {
            Source::File(file) => match &file.format {
                Some(format) => vec![format.clone()],
                None if has_nested(&self.schema) => vec![by_name("a.ndjson"), by_name("a.json")],
                None => vec![by_name("a.ndjson"), by_name("a.json"), by_name("a.csv")],
            },
            Source::Http(_) if has_nested(&self.schema) => vec![FileFormat::Ndjson],
            Source::Http(_) => vec![FileFormat::Ndjson, by_name("a.csv")],
            Source::RabbitMq(_) => vec![FileFormat::Ndjson],
        }
    }
}

/// CSV has no way to write nested values.
fn has_nested(schema: &EventSchema) -> bool {
    arrow_schema(schema).fields().iter().any(|f| f.data_type().is_nested())
}

fn results(
    pipeline: &Pipeline,
    schema: &EventSchema,
    tables: &[TableSource],
    mut unread: Unread,
    findings: &mut Vec<Finding>,
) -> Vec<PlannedResult> {
    let meta = pipeline.source.is_pushed();
    let mut planned: Vec<PlannedResult> = Vec::new();
    for (at, spec) in pipeline.results.iter().enumerate() {
        let is_known = |name: &str| {
            name == "events"
                || tables.iter().any(|table| table.name == name)
                || planned.iter().any(|result| result.spec.name.as_str() == name)
        };
        if names_unread(spec, &unread, is_known) {
            unread.relations.insert(spec.name.to_string());
            continue;
        }
        let upstream: Vec<Upstream> = planned.iter().map(|r| upstream_of(&r.definition, &r.query)).collect();
        let catalog = Catalog {
            events: event_columns(schema, meta),
            time: pipeline.events.time.clone(),
            tables: tables.iter().map(|t| (t.name.clone(), arrow_schema(&t.schema))).collect(),
            upstream,
            later: pipeline.results.iter().skip(at + 1).map(|result| result.name.to_string()).collect(),
        };
        match manade_sql::compile(spec, &catalog) {
            Ok(query) => {
                findings.extend(query.notes.iter().cloned());
                findings.extend(vain_indexes(spec, &query));
                findings.extend(no_documents(spec, &query));
                findings.extend(no_files(spec, &query));
                let definition = define(spec, schema, pipeline, tables, &query, &planned);
                planned.push(PlannedResult { spec: spec.clone(), definition, query: Arc::new(query) });
            }
            Err(errors) => {
                unread.relations.insert(spec.name.to_string());
                findings.extend(errors);
            }
        }
    }
    planned
}

/// Columns under `index` that are not indexed.
fn vain_indexes(spec: &ResultSpec, query: &Query) -> Vec<Finding> {
    let is_top = matches!(&query.stage, Stage::Groups(groups) if groups.top.is_some());
    let mut notes = Vec::new();
    for (name, place) in &spec.index {
        let column = query.columns.iter().find(|column| column.name.to_lowercase() == name.to_lowercase());
        let why = match column {
            Some(_) if is_top => "a top-N result is not indexed",
            Some(column) if column.data_type.is_nested() => "nested columns are not indexed",
            Some(column) if !is_indexable(&column.data_type) => "floating-point columns are not indexed",
            _ => continue,
        };
        let note = Finding::note(place.clone(), format!("`index` has no effect on `{name}`: {why}"));
        notes.push(note.with_hint("leave it out: filters on it read all rows"));
    }
    notes
}

/// Columns that cannot be in MongoDB's documents by their names.
fn no_documents(spec: &ResultSpec, query: &Query) -> Vec<Finding> {
    let is_documents = |sink: &&OutsideSink| matches!(sink.target, OutsideTarget::MongoDb(_));
    let Some(sink) = spec.outside.iter().find(is_documents) else { return Vec::new() };
    let names: Vec<&str> = query.columns.iter().map(|column| column.name.as_str()).collect();
    let finding = |name: &&str| {
        let why = if ["_id", "_rev"].contains(name) {
            "a document has a field of this name already"
        } else if name.starts_with('$') || name.is_empty() || name.contains('\0') {
            "MongoDB takes no field of this name"
        } else if name.strip_suffix("_micros").is_some_and(|of| names.contains(&of)) {
            "a timestamp's microseconds are in a field of this name"
        } else {
            return None;
        };
        let message = format!("the column `{name}` of {} cannot be sent: {why}", spec.name);
        Some(Finding::error(sink.place.clone(), message).with_hint("name it otherwise in the query, with AS"))
    };
    names.iter().filter_map(finding).collect()
}

/// Why rows cannot be in a sink's files: they change, or a column is of a type that Parquet or a folder's name has not.
fn no_files(spec: &ResultSpec, query: &Query) -> Vec<Finding> {
    let mut findings = Vec::new();
    for sink in &spec.outside {
        let OutsideTarget::Parquet(target) = &sink.target else { continue };
        let mut error = |place: &Place, message: String, hint: String| {
            findings.push(Finding::error(place.clone(), message).with_hint(hint));
        };
        if !matches!(query.stage, Stage::Rows) && spec.emit != Emit::Final {
            let message = format!("the rows of {} change, and those in a file cannot", spec.name);
            let hint = "group by a window and write `emit: final`: its rows are added once it is closed";
            error(&sink.place, message, hint.to_owned());
        }
        for column in &query.columns {
            if matches!(column.data_type, DataType::Null | DataType::Interval(_) | DataType::Duration(_)) {
                let message = format!("the column `{}` of {} has no type that Parquet has", column.name, spec.name);
                error(&sink.place, message, "cast it, to string for example".to_owned());
            }
        }
        for (name, place) in &target.partition_by {
            match query.columns.iter().find(|column| column.name == *name) {
                None => {
                    let near = manade_model::closest(name, query.columns.iter().map(|column| column.name.as_str()));
                    let hint =
                        near.map_or("name a column of the result".to_owned(), |near| format!("did you mean `{near}`?"));
                    error(place, format!("{} has no column `{name}`", spec.name), hint);
                }
                Some(column) if !is_folder_name(&column.data_type) => {
                    let message = format!("the column `{name}` cannot be a folder's name by its type");
                    error(place, message, "partition by a string, a whole number, a date or a boolean".to_owned());
                }
                Some(_) => {}
            }
        }
        let is_folder = |name: &String| target.partition_by.iter().any(|(known, _)| known == name);
        if query.columns.iter().all(|column| is_folder(&column.name)) {
            let message = format!("`partitionBy` leaves no column of {} for the files", spec.name);
            error(&sink.place, message, "take a column out of it".to_owned());
        }
    }
    findings
}

fn is_folder_name(data_type: &DataType) -> bool {
    data_type.is_integer()
        || matches!(
            data_type,
            DataType::Utf8 | DataType::Utf8View | DataType::LargeUtf8 | DataType::Date32 | DataType::Boolean
        )
}

/// Whether errors of the query would only follow from others. One that is no SQL names nothing.
fn names_unread(spec: &ResultSpec, unread: &Unread, is_known: impl Fn(&str) -> bool) -> bool {
    if *unread == Unread::default() {
        return false;
    }
    let Some(named) = manade_sql::named(&spec.sql.text) else { return false };
    let is_unread = |name: &String| unread.relations.contains(name) || (unread.has_nameless && !is_known(name));
    named.relations.iter().any(is_unread) || !named.words.is_disjoint(&unread.words)
}

/// The earlier result that a query reads.
fn read_by<'a>(query: &Query, earlier: &'a [PlannedResult]) -> Option<&'a PlannedResult> {
    let Input::Result(name) = &query.input else { return None };
    earlier.iter().find(|result| result.spec.name.as_str() == name)
}

fn define(
    spec: &ResultSpec,
    schema: &EventSchema,
    pipeline: &Pipeline,
    tables: &[TableSource],
    query: &Query,
    earlier: &[PlannedResult],
) -> Definition {
    let upstream = read_by(query, earlier);
    let inlined = earlier.iter().filter(|result| query.inlined.iter().any(|name| name == result.spec.name.as_str()));
    Definition {
        name: spec.name.to_string(),
        description: spec.description.clone(),
        sql: spec.sql.text.clone(),
        retain: spec.retain,
        emit: spec.emit,
        sinks: spec.sinks.clone(),
        index: spec.index.iter().map(|(column, _)| column.clone()).collect(),
        limit: spec.limit,
        events: schema.clone(),
        time: pipeline.events.time.clone(),
        meta: pipeline.source.is_pushed(),
        tables: tables.iter().map(|t| (t.name.clone(), t.schema.clone())).collect(),
        upstream: upstream.map(|r| Box::new(r.definition.clone())),
        inlined: inlined.map(|r| r.definition.clone()).collect(),
    }
}

fn upstream_of(definition: &Definition, query: &Query) -> Upstream {
    let column = |c: &manade_sql::OutputColumn| Field::new(&c.name, c.data_type.clone(), true);
    let schema = Arc::new(Schema::new(query.columns.iter().map(column).collect::<Vec<_>>()));
    Upstream {
        name: definition.name.clone(),
        schema,
        time: query.time.clone(),
        append: matches!(query.stage, Stage::Rows) || definition.emit == Emit::Final,
        sql: matches!(query.stage, Stage::Rows).then(|| definition.sql.clone()),
    }
}

fn event_columns(schema: &EventSchema, meta: bool) -> SchemaRef {
    let columns = arrow_schema(schema);
    if !meta {
        return columns;
    }
    let mut fields: Vec<_> = columns.fields().iter().cloned().collect();
    let text = || Box::new(SparkType::String);
    let meta = manade_events::arrow_type(&SparkType::Map(text(), text()));
    fields.push(Arc::new(Field::new(manade_events::META_COLUMN, meta, true)));
    Arc::new(Schema::new(fields))
}

fn spec_of(definition: &Definition) -> ResultSpec {
    let place = Place { file: format!("{} (stored)", definition.name).into(), line: 1, column: 1 };
    ResultSpec {
        name: manade_model::Name::new(&definition.name).expect("was a name when it was stored"),
        description: definition.description.clone(),
        sql: Sql { text: definition.sql.clone(), place: place.clone(), lines: Vec::new() },
        retain: definition.retain,
        emit: definition.emit,
        emit_place: place.clone(),
        sinks: definition.sinks.clone(),
        outside: Vec::new(),
        index: definition.index.iter().map(|column| (column.clone(), place.clone())).collect(),
        limit: definition.limit,
        start: Start::Earliest,
        place,
    }
}

/// How many bytes of events an inferred schema is found from.
const SAMPLE: u64 = 4 * 1024 * 1024;

fn infer(pipeline: &Pipeline, findings: &mut Vec<Finding>) -> Option<EventSchema> {
    // The model refuses an http source without a schema.
    let Source::File(source) = &pipeline.source else { return None };
    let selection = match Selection::new(&source.path) {
        Ok(selection) => selection,
        Err(e) => {
            findings.push(Finding::error(source.place.clone(), e.to_string()));
            return None;
        }
    };
    let files = selection.files().unwrap_or_default();
    for path in &files {
        let format = source.format.clone().unwrap_or_else(|| format_by_name(path));
        match tables::sample(path, SAMPLE) {
            Ok(sample) if sample.is_empty() => {}
            Ok(sample) => match manade_events::infer(&sample, &format) {
                Ok(Inferred { schema, left_out }) => {
                    let note = |what| tables::left_out_note(path, source.place.clone(), what);
                    findings.extend(left_out.into_iter().map(note));
                    return Some(schema);
                }
                Err(e) => {
                    let message = format!("cannot infer the schema of the events in {}: {e}", path.display());
                    let hint = match e {
                        InferError::Twice { .. } => "rename one of them in the file",
                        _ => "write it under spec.events.schema",
                    };
                    findings.push(Finding::error(source.place.clone(), message).with_hint(hint));
                    return None;
                }
            },
            Err(e) => {
                findings.push(Finding::error(source.place.clone(), format!("cannot read {}: {e}", path.display())));
                return None;
            }
        }
    }
    let message = format!("no events at {} to infer a schema from", source.path.display());
    let hint = "write spec.events.schema, or correct the path (it is relative to this file)";
    findings.push(Finding::error(source.place.clone(), message).with_hint(hint));
    None
}

fn check_patterns(pipeline: &Pipeline, findings: &mut Vec<Finding>) {
    for (pattern, place) in &pipeline.patterns {
        let compiled = manade_events::datetime::Pattern::compile(pattern);
        if let Err(e) = compiled.and_then(|pattern| pattern.check_parsing()) {
            findings.push(Finding::error(place.clone(), format!("format `{pattern}`: {e}")));
        }
    }
}

/// Columns that the rows of tests list and nothing has.
fn check_tests(pipeline: &Pipeline, tables: &[TableSource], results: &[PlannedResult], findings: &mut Vec<Finding>) {
    let columns_of = |column: &RowColumn, is_expected: bool| -> Option<Vec<&str>> {
        let of = column.of.as_str();
        if is_expected {
            let result = results.iter().find(|result| result.spec.name.as_str() == of)?;
            return Some(result.query.columns.iter().map(|column| column.name.as_str()).collect());
        }
        let table = tables.iter().find(|table| table.name == of)?;
        Some(table.schema.fields.iter().map(|field| field.name.as_str()).collect())
    };
    for test in &pipeline.tests {
        let of_tables = test.table_columns.iter().map(|column| (column, false));
        for (column, is_expected) in of_tables.chain(test.expected_columns.iter().map(|column| (column, true))) {
            let Some(known) = columns_of(column, is_expected) else { continue };
            if known.contains(&column.column.as_str()) {
                continue;
            }
            let what = if is_expected { "result" } else { "table" };
            let message = format!("the {what} `{}` has no column `{}`", column.of, column.column);
            let hint = match manade_model::closest(&column.column, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("the columns are {}", known.join(", ")),
            };
            findings.push(Finding::error(column.place.clone(), message).with_hint(hint));
        }
    }
}

/// A source that ends must be there; one that is followed may come later.
fn check_source(pipeline: &Pipeline, findings: &mut Vec<Finding>) {
    let Source::File(source) = &pipeline.source else { return };
    let there = match Selection::new(&source.path) {
        Ok(selection) => selection.files().is_ok_and(|files| !files.is_empty()),
        Err(e) => return findings.push(Finding::error(source.place.clone(), e.to_string())),
    };
    if there || pipeline.events.schema.is_none() {
        return;
    }
    let message = format!("no file at {}", source.path.display());
    findings.push(if source.follow {
        Finding::note(source.place.clone(), message).with_hint("events are read as soon as it appears")
    } else {
        Finding::error(source.place.clone(), message).with_hint("the path is relative to this file")
    });
}

/// An inferred schema can only be held against `events.time` here. Returns whether it has it.
fn check_time(pipeline: &Pipeline, schema: &EventSchema, findings: &mut Vec<Finding>) -> bool {
    let Some(path) = &pipeline.events.time else { return true };
    if pipeline.events.schema.is_some() {
        return true;
    }
    let before = findings.len();
    let place = pipeline.events.time_place.clone();
    let name = path.join(".");
    match schema.at(path) {
        None => {
            let columns = schema.fields.iter().map(|f| f.name.as_str());
            let finding = Finding::error(place, format!("the events have no column `{name}`"));
            findings.push(match manade_model::closest(&name, columns) {
                Some(close) => finding.with_hint(format!("did you mean `{close}`?")),
                None => finding,
            });
        }
        Some(field) => {
            let is_time =
                matches!(manade_events::arrow_type(&field.data_type), DataType::Timestamp(..) | DataType::Date32);
            if !is_time {
                let hint = "write spec.events.schema with a timestamp, and a format where it is not ISO 8601";
                let message = format!("event time `{name}` is {}, not a timestamp", field.data_type);
                findings.push(Finding::error(place, message).with_hint(hint));
            }
        }
    }
    findings.len() == before
}
