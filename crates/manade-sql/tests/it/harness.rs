//! A small engine: cuts events into chunks, runs workers, keeps states, reads rows.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Builder, ListArray, MapBuilder, RecordBatch, StringViewArray, StringViewBuilder,
    TimestampMicrosecondArray, UInt32Array, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{concat_batches, take_record_batch};
use arrow::csv::ReaderBuilder;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType};
use arrow::row::{OwnedRow, RowConverter, SortField};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use manade_model::{Emit, Finding, Name, Place, ResultSpec, Retain, Sink, Sql, Start};
use manade_sql::{Catalog, Query, ROW, SEQUENCE, Stage, StateTable, TableSet, Upstream, WATERMARK};

pub fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// Flights with nulls and equal values: time, delay, distance, origin, destination, tags.
pub fn flights() -> RecordBatch {
    let text = "\
2001-01-01T00:10:00Z,20,300,JFK,BOS,a b
2001-01-01T00:50:00Z,-5,300,JFK,BOS,
2001-01-01T01:00:00Z,,2500,JFK,SFO,b
2001-01-01T01:20:00Z,40,2500,SFO,JFK,a
2001-01-01T01:25:00Z,40,100,SFO,LAX,c a b
2001-01-01T01:59:59Z,0,100,LAX,SFO,
2001-01-01T02:00:00Z,181,2500,SFO,JFK,a a
2001-01-01T03:30:00Z,15,300,BOS,JFK,b
2001-01-01T03:30:00Z,16,,BOS,ORD,
";
    let fields = vec![
        Field::new("date", timestamp(), true),
        Field::new("delay", DataType::Int32, true),
        Field::new("distance", DataType::Int32, true),
        Field::new("origin", DataType::Utf8View, true),
        Field::new("destination", DataType::Utf8View, true),
        Field::new("words", DataType::Utf8View, true),
    ];
    let batch = csv(text, Arc::new(Schema::new(fields)));
    let words = batch.column(5).as_string_view();
    let lists: Vec<Vec<&str>> = (0..words.len())
        .map(|i| if words.is_valid(i) { words.value(i).split(' ').collect() } else { Vec::new() })
        .collect();
    let item = Arc::new(Field::new_list_field(DataType::Utf8View, true));
    let offsets = OffsetBuffer::from_lengths(lists.iter().map(Vec::len));
    let values: StringViewArray = lists.concat().into_iter().map(Some).collect();
    let list: ArrayRef = Arc::new(ListArray::new(item, offsets, Arc::new(values), None));
    let mut columns = batch.columns().to_vec();
    columns[5] = Arc::clone(&list);
    let mut fields: Vec<Arc<Field>> = batch.schema().fields().iter().cloned().collect();
    fields[5] = Arc::new(Field::new("tags", list.data_type().clone(), true));
    // A struct of two of the columns.
    let inner = vec![Arc::clone(&fields[1]), Arc::clone(&fields[3])];
    let structure =
        arrow::array::StructArray::new(inner.into(), vec![Arc::clone(&columns[1]), Arc::clone(&columns[3])], None);
    fields.push(Arc::new(Field::new("leg", structure.data_type().clone(), true)));
    columns.push(Arc::new(structure));
    let mut numbers = MapBuilder::new(None, StringViewBuilder::new(), Int32Builder::new());
    for _ in 0..batch.num_rows() {
        numbers.keys().append_value("a");
        numbers.values().append_value(1);
        numbers.append(true).unwrap();
    }
    let numbers: ArrayRef = Arc::new(numbers.finish());
    fields.push(Arc::new(Field::new("m", numbers.data_type().clone(), true)));
    columns.push(numbers);
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

pub fn airports() -> RecordBatch {
    let text = "JFK,New York,NY\nBOS,Boston,MA\nSFO,San Francisco,CA\nLAX,Los Angeles,CA\n";
    let fields = ["iata", "city", "state"].map(|name| Field::new(name, DataType::Utf8View, true));
    csv(text, Arc::new(Schema::new(fields.to_vec())))
}

pub fn catalog() -> Catalog {
    Catalog {
        events: flights().schema(),
        time: Some(vec!["date".to_owned()]),
        tables: vec![("airports".to_owned(), airports().schema())],
        later: vec!["daily".to_owned()],
        upstream: vec![
            Upstream {
                name: "hourly".to_owned(),
                schema: Arc::new(Schema::new(vec![
                    Field::new("origin", DataType::Utf8View, true),
                    Field::new("ends", timestamp(), true),
                    Field::new("flights", DataType::Int64, true),
                ])),
                time: Some(vec!["ends".to_owned()]),
                append: true,
                sql: None,
            },
            Upstream {
                name: "totals".to_owned(),
                schema: Arc::new(Schema::new(vec![Field::new("origin", DataType::Utf8View, true)])),
                time: None,
                append: false,
                sql: None,
            },
        ],
    }
}

pub fn spec(sql: &str) -> ResultSpec {
    let place = Place { file: PathBuf::from("flights.yaml"), line: 1, column: 1 };
    let lines = (1..=sql.lines().count().max(1)).map(|line| (line, 1)).collect();
    ResultSpec {
        name: Name::new("result").unwrap(),
        description: None,
        sql: Sql { text: sql.to_owned(), place: place.clone(), lines },
        retain: Retain::default(),
        emit: Emit::Updates,
        emit_place: place.clone(),
        sinks: vec![Sink::Collection],
        outside: Vec::new(),
        index: Vec::new(),
        limit: None,
        start: Start::Earliest,
        place,
    }
}

pub fn compile(sql: &str) -> Query {
    compile_spec(&spec(sql)).unwrap_or_else(|findings| panic!("{sql}\n{}", shown(&findings)))
}

pub fn compile_spec(spec: &ResultSpec) -> Result<Query, Vec<Finding>> {
    manade_sql::compile(spec, &catalog())
}

pub fn shown(findings: &[Finding]) -> String {
    findings.iter().flat_map(|finding| [finding.to_string(), "\n".to_owned()]).collect()
}

/// The rows of `sql` over the flights, cut into chunks of each of these sizes in turn.
pub fn rows(sql: &str, cuts: &[usize]) -> Vec<String> {
    run(&compile(sql), &flights(), cuts, None).rows
}

pub struct Outcome {
    /// Sorted, but for a top-N result.
    pub rows: Vec<String>,
    pub selected: u64,
    pub late: u64,
}

/// `lateness` in microseconds: events carry the watermark and late ones are left out.
pub fn run(query: &Query, events: &RecordBatch, cuts: &[usize], lateness: Option<i64>) -> Outcome {
    let tables = TableSet::new([("airports".to_owned(), vec![airports()])]);
    let mut worker = query.worker().unwrap();
    let mut outcome = Outcome { rows: Vec::new(), selected: 0, late: 0 };
    let mut appended = Vec::new();
    let mut states = match &query.stage {
        Stage::Rows => Vec::new(),
        Stage::Groups(groups) => {
            std::iter::once(&groups.main).chain(&groups.entries).map(|table| Stored::new(table.clone())).collect()
        }
    };
    let mut merger = match &query.stage {
        Stage::Rows => None,
        Stage::Groups(_) => Some(query.merger().unwrap()),
    };
    let (mut start, mut turn) = (0, 0);
    let mut newest = i64::MIN;
    while start < events.num_rows() {
        let length = cuts[turn % cuts.len()].min(events.num_rows() - start);
        let chunk = prepared(query, &events.slice(start, length), start, lateness, &mut newest);
        let output = worker.run(&chunk, &tables, lateness.is_some()).unwrap();
        outcome.selected += output.selected;
        outcome.late += output.late.len() as u64;
        appended.extend(output.rows);
        for (i, (stored, new)) in states.iter_mut().zip(output.groups).enumerate() {
            stored.merge(merger.as_mut().unwrap(), i, new);
        }
        start += length;
        turn += 1;
    }
    match &query.stage {
        Stage::Rows => {
            for batch in &appended {
                outcome.rows.extend(lines(batch, query.columns.len()));
            }
            outcome.rows.sort();
        }
        Stage::Groups(_) => outcome.rows = read(query, &states.iter().map(Stored::all).collect::<Vec<_>>()),
    }
    outcome
}

/// What these states show.
fn read(query: &Query, states: &[RecordBatch]) -> Vec<String> {
    let mut reader = query.row_reader().unwrap();
    let rows = reader.rows(&states[0], &states[1..]).unwrap();
    if matches!(&query.stage, Stage::Groups(groups) if groups.top.is_some()) {
        let served = reader.served(&reader.first(&rows).unwrap()).unwrap();
        return lines(&served, query.columns.len());
    }
    let mut rows = lines(&rows, query.columns.len());
    rows.sort();
    rows
}

/// The rows of `sql` over the flights, of which each is a chunk. Their states are merged two neighbours at a time, in an order
/// that `turns` decide.
pub fn merged_by(sql: &str, turns: &[usize]) -> Vec<String> {
    let (query, events) = (compile(sql), flights());
    let (mut worker, mut merger) = (query.worker().unwrap(), query.merger().unwrap());
    let state = |at| {
        let mut newest = i64::MIN;
        let chunk = prepared(&query, &events.slice(at, 1), at, None, &mut newest);
        worker.run(&chunk, &TableSet::default(), false).unwrap().groups
    };
    let mut states: Vec<Vec<RecordBatch>> = (0..events.num_rows()).map(state).collect();
    let mut turns = turns.iter().cycle();
    while states.len() > 1 {
        let at = turns.next().unwrap() % (states.len() - 1);
        let later = states.remove(at + 1);
        for (table, later) in later.into_iter().enumerate() {
            let both = [states[at][table].clone(), later];
            states[at][table] = merger.merge(table, &both).unwrap();
        }
    }
    read(&query, &states[0])
}

/// The read columns, and what the engine adds.
fn prepared(query: &Query, chunk: &RecordBatch, first: usize, lateness: Option<i64>, newest: &mut i64) -> RecordBatch {
    let mut fields: Vec<Field> = chunk.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    let mut columns = chunk.columns().to_vec();
    let rows = chunk.num_rows();
    // Structs are pruned by the decoder; here the cast in the worker's input does it.
    for field in query.input_schema.fields() {
        let i = fields.iter().position(|own| own.name() == field.name()).unwrap();
        if let (DataType::Struct(wanted), DataType::Struct(_)) = (field.data_type(), fields[i].data_type()) {
            let own = columns[i].as_struct().clone();
            let inner = wanted.iter().map(|f| Arc::clone(own.column_by_name(f.name()).unwrap())).collect();
            columns[i] = Arc::new(arrow::array::StructArray::new(wanted.clone(), inner, own.nulls().cloned()));
            fields[i] = field.as_ref().clone();
        }
    }
    if query.sequence {
        fields.push(Field::new(SEQUENCE, DataType::UInt64, true));
        columns.push(Arc::new(UInt64Array::from_iter_values((first..first + rows).map(|n| n as u64))));
    }
    if let Some(lateness) = lateness {
        let times = chunk.column_by_name("date").unwrap().as_primitive::<TimestampMicrosecondType>().clone();
        let marks: Vec<i64> = times
            .values()
            .iter()
            .map(|time| {
                let mark = newest.saturating_sub(lateness);
                *newest = (*newest).max(*time);
                mark
            })
            .collect();
        fields.push(Field::new(WATERMARK, timestamp(), true));
        columns.push(Arc::new(TimestampMicrosecondArray::from(marks).with_timezone("UTC")));
        fields.push(Field::new(ROW, DataType::UInt32, true));
        columns.push(Arc::new(UInt32Array::from_iter_values(0..rows as u32)));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap()
}

/// A state table in memory.
struct Stored {
    table: StateTable,
    rows: HashMap<OwnedRow, Vec<RecordBatch>>,
}

impl Stored {
    fn new(table: StateTable) -> Self {
        Self { table, rows: HashMap::new() }
    }

    fn keys(&self, batch: &RecordBatch) -> Vec<OwnedRow> {
        let mut columns: Vec<ArrayRef> =
            self.table.lookup_columns().into_iter().map(|i| Arc::clone(batch.column(i))).collect();
        if columns.is_empty() {
            columns.push(arrow::array::new_null_array(&DataType::Null, batch.num_rows()));
        }
        let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
        let rows = RowConverter::new(fields).unwrap().convert_columns(&columns).unwrap();
        (0..batch.num_rows()).map(|row| rows.row(row).owned()).collect()
    }

    fn merge(&mut self, merger: &mut manade_sql::Merger, index: usize, new: RecordBatch) {
        let mut batches = Vec::new();
        for key in self.keys(&new) {
            batches.extend(self.rows.remove(&key).unwrap_or_default());
        }
        batches.push(new);
        let merged = merger.merge(index, &batches).unwrap();
        assert_eq!(merged.schema(), self.table.schema);
        for (row, key) in self.keys(&merged).into_iter().enumerate() {
            self.rows.entry(key).or_default().push(merged.slice(row, 1));
        }
    }

    fn all(&self) -> RecordBatch {
        let batches: Vec<RecordBatch> = self.rows.values().flatten().cloned().collect();
        concat_batches(&self.table.schema, &batches).unwrap()
    }
}

pub fn lines(batch: &RecordBatch, width: usize) -> Vec<String> {
    let options = FormatOptions::default().with_null("null");
    let formatters: Vec<ArrayFormatter<'_>> =
        batch.columns()[..width].iter().map(|column| ArrayFormatter::try_new(column, &options).unwrap()).collect();
    (0..batch.num_rows())
        .map(|row| formatters.iter().map(|f| f.value(row).to_string()).collect::<Vec<_>>().join(" | "))
        .collect()
}

fn csv(text: &str, schema: SchemaRef) -> RecordBatch {
    let views: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Utf8View => Field::new(field.name(), DataType::Utf8, true),
            _ => field.as_ref().clone(),
        })
        .collect();
    let mut reader = ReaderBuilder::new(Arc::new(Schema::new(views))).build(text.as_bytes()).unwrap();
    let batch = reader.next().unwrap().unwrap();
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| arrow::compute::cast(column, field.data_type()).unwrap())
        .collect();
    RecordBatch::try_new(schema, columns).unwrap()
}

/// Rows in another order, to make events late.
pub fn reordered(batch: &RecordBatch, order: &[u32]) -> RecordBatch {
    take_record_batch(batch, &UInt32Array::from(order.to_vec())).unwrap()
}
