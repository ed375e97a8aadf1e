//! A query held against a collection's columns: names resolved, literals typed, ready to run.

use arrow::datatypes::{DataType, Fields, TimeUnit};
use axum::http::StatusCode;
use datafusion::scalar::ScalarValue;
use manade_functions::spark_name;
use manade_pipeline::collection::{CollectionInfo, CollectionKind, OutputColumn};

use super::cursor::{self, Cursor};
use super::{Comparison, Condition, Field, Is, Item, Operands, Query, Step, Test};
use crate::problem::Problem;
use crate::values::{self, LiteralError};

/// What to read, in the order: filter, order, `after`, offset, limit, output.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    pub output: Vec<Output>,
    /// All must hold.
    pub filters: Vec<Predicate>,
    pub order: Vec<Order>,
    /// Ends the order with the row's key, so that no two rows are equal in it.
    pub by_key: bool,
    pub after: Option<Cursor>,
    pub offset: u64,
    pub limit: Option<u64>,
    /// Columns with the one value that they must have: what a scan may use to leave rows out.
    pub equals: Vec<(usize, ScalarValue)>,
    /// A page that ends can be gone on from by a cursor.
    pub pages: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    pub name: String,
    pub operand: Operand,
    pub cast: Option<Cast>,
}

/// A column, or what stands under a path in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Operand {
    /// Of the collection's visible columns.
    pub column: usize,
    pub path: Vec<Access>,
    /// As text: `->>`.
    pub text: bool,
    /// Of the value, before it is made text.
    pub data_type: DataType,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Access {
    /// Of a struct.
    Field(usize),
    /// Of an array; from its end where negative.
    Index(i64),
    /// Of a map: the key's text.
    Key(String),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Cast {
    Text,
    To(DataType),
}

#[derive(Debug, Clone, PartialEq)]
pub enum Predicate {
    All(Vec<Predicate>),
    Any(Vec<Predicate>),
    Not(Box<Predicate>),
    Compare { operand: Operand, comparison: Comparison, value: ScalarValue },
    Like { operand: Operand, insensitive: bool, pattern: String },
    Match { operand: Operand, insensitive: bool, pattern: String },
    In { operand: Operand, values: Vec<ScalarValue> },
    Distinct { operand: Operand, value: ScalarValue },
    Is { operand: Operand, is: Is },
}

/// One scalar of the order; a struct is ordered by its fields.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    pub operand: Operand,
    pub descending: bool,
    pub nulls_first: bool,
}

/// Rows of a JSON answer where the query has no limit.
pub const DEFAULT_LIMIT: u64 = 1_000;

/// What a cast to PostgreSQL's numeric gives.
const NUMERIC: DataType = DataType::Decimal128(38, 18);

/// `page`: the rows of a query without a limit, `None` for all.
pub fn plan(query: &Query, info: &CollectionInfo, page: Option<u64>) -> Result<Plan, Problem> {
    let columns = Columns { info };
    let filters = query.filters.iter().map(|c| columns.condition(c)).collect::<Result<Vec<_>, _>>()?;
    let mut order = Vec::new();
    for item in &query.order {
        let operand = columns.operand(&item.field)?;
        let nulls_first = item.nulls_first.unwrap_or(item.descending);
        expand(operand, item.descending, nulls_first, &written(&item.field), &mut order)?;
    }
    let after = query.cursor.as_deref().map(|text| cursor::decode(text, &info.name, &order)).transpose()?;
    if after.is_some() && query.offset.is_some_and(|offset| offset > 0) {
        return Err(Problem::syntax("a cursor and an offset cannot be used together"));
    }
    // A top collection has an order of its own and is small: it is served whole.
    let top = info.kind == CollectionKind::Top && order.is_empty();
    if top && after.is_some() {
        return Err(Problem::syntax("a top collection has no cursor of its own").with_hint("give an order"));
    }
    let limit = query.limit.or(if top { None } else { page });
    let pages = limit.is_some() && !top;
    let equals = filters.iter().filter_map(equality).collect();
    Ok(Plan {
        output: columns.output(&query.select)?,
        filters,
        // Rows of an append collection come in the order of their keys.
        by_key: !order.is_empty()
            || (info.kind == CollectionKind::Keyed && (pages || query.offset.is_some_and(|offset| offset > 0))),
        order,
        after,
        offset: query.offset.unwrap_or(0),
        limit,
        equals,
        pages,
    })
}

impl Operand {
    /// Of the value as it is compared.
    pub fn compared_type(&self) -> &DataType {
        if self.text { &DataType::Utf8View } else { &self.data_type }
    }
}

struct Columns<'a> {
    info: &'a CollectionInfo,
}

impl Columns<'_> {
    fn output(&self, select: &[Item]) -> Result<Vec<Output>, Problem> {
        let mut output: Vec<Output> = Vec::new();
        let all = [Item::All];
        for item in if select.is_empty() { &all } else { select } {
            match item {
                Item::All => {
                    for (i, column) in self.info.columns.iter().enumerate() {
                        push(&mut output, Output { name: column.name.clone(), operand: whole(i, column), cast: None });
                    }
                }
                Item::Field { field, cast, alias } => {
                    let operand = self.operand(field)?;
                    let (operand, cast) = match cast {
                        Some(to) => self::cast(operand, to)?,
                        None => (operand, None),
                    };
                    let name = alias.clone().unwrap_or_else(|| default_name(field));
                    push(&mut output, Output { name, operand, cast });
                }
            }
        }
        Ok(output)
    }

    fn operand(&self, field: &Field) -> Result<Operand, Problem> {
        let names = || self.info.columns.iter().map(|column| column.name.as_str());
        let Some(column) = names().position(|name| name == field.name) else {
            return Err(unknown_column(&self.info.name, &field.name, names()));
        };
        let mut data_type = self.info.columns[column].data_type.clone();
        let mut path = Vec::new();
        for step in &field.path {
            let (access, inner) = access(step, &data_type, &field.name)?;
            path.push(access);
            data_type = inner;
        }
        Ok(Operand { column, path, text: field.text, data_type })
    }

    fn condition(&self, condition: &Condition) -> Result<Predicate, Problem> {
        let (predicate, negated) = match condition {
            Condition::Group { any, negated, of } => {
                let of = of.iter().map(|c| self.condition(c)).collect::<Result<Vec<_>, _>>()?;
                (if *any { Predicate::Any(of) } else { Predicate::All(of) }, *negated)
            }
            Condition::Test { field, negated, test } => (test_of(self.operand(field)?, &field.name, test)?, *negated),
        };
        Ok(if negated { Predicate::Not(Box::new(predicate)) } else { predicate })
    }
}

fn whole(column: usize, of: &OutputColumn) -> Operand {
    Operand { column, path: Vec::new(), text: false, data_type: of.data_type.clone() }
}

/// Adds a column of the answer; of several under one name the last stands, as in JSON that has a key twice.
fn push(output: &mut Vec<Output>, new: Output) {
    match output.iter_mut().find(|old| old.name == new.name) {
        None => output.push(new),
        Some(old) => *old = new,
    }
}

/// The last key of the path, else the column.
fn default_name(field: &Field) -> String {
    let key = field.path.iter().rev().find_map(|step| match step {
        Step::Key(key) => Some(key.clone()),
        Step::Index(_) => None,
    });
    key.unwrap_or_else(|| field.name.clone())
}

fn test_of(operand: Operand, name: &str, test: &Test) -> Result<Predicate, Problem> {
    match test {
        Test::Compare(comparison, operands) => quantified(operands, |text| {
            let value = literal(text, &operand, name)?;
            Ok(Predicate::Compare { operand: operand.clone(), comparison: *comparison, value })
        }),
        Test::Like { insensitive, operands } => {
            require_text(&operand, name, if *insensitive { "ilike" } else { "like" })?;
            quantified(operands, |text| {
                let pattern = text.replace('*', "%");
                Ok(Predicate::Like { operand: operand.clone(), insensitive: *insensitive, pattern })
            })
        }
        Test::Match { insensitive, operands } => {
            require_text(&operand, name, if *insensitive { "imatch" } else { "match" })?;
            quantified(operands, |text| {
                check_pattern(text)?;
                let pattern = text.to_owned();
                Ok(Predicate::Match { operand: operand.clone(), insensitive: *insensitive, pattern })
            })
        }
        Test::In(texts) => {
            let values = texts.iter().map(|text| literal(text, &operand, name)).collect::<Result<_, _>>()?;
            Ok(Predicate::In { operand, values })
        }
        Test::Distinct(text) => {
            let value = literal(text, &operand, name)?;
            Ok(Predicate::Distinct { operand, value })
        }
        Test::Is(is) => {
            let truth = matches!(is, Is::True | Is::False | Is::Unknown);
            if truth && *operand.compared_type() != DataType::Boolean {
                return Err(wrong_operator("is", name).with_hint("only null and not_null fit every type"));
            }
            Ok(Predicate::Is { operand, is: *is })
        }
    }
}

fn quantified(operands: &Operands, one: impl Fn(&str) -> Result<Predicate, Problem>) -> Result<Predicate, Problem> {
    let mut of = operands.values.iter().map(|text| one(text)).collect::<Result<Vec<_>, _>>()?;
    Ok(match (of.len(), operands.all) {
        (1, _) => of.swap_remove(0),
        (_, true) => Predicate::All(of),
        (_, false) => Predicate::Any(of),
    })
}

fn check_pattern(text: &str) -> Result<(), Problem> {
    match regex::RegexBuilder::new(text).size_limit(1 << 20).build() {
        Ok(_) => Ok(()),
        Err(error) => {
            let error = error.to_string();
            let reason = error.lines().last().unwrap_or_default().trim().to_owned();
            Err(Problem::new(StatusCode::BAD_REQUEST, "2201B", format!("invalid regular expression \"{text}\""))
                .with_details(reason))
        }
    }
}

fn literal(text: &str, operand: &Operand, name: &str) -> Result<ScalarValue, Problem> {
    values::parse(text, operand.compared_type()).map(unsigned_zero).map_err(|error| {
        let code = match &error {
            LiteralError::Invalid { .. } => "22P02",
            LiteralError::OutOfRange { .. } => "22003",
            LiteralError::Nested => {
                return wrong_operator("a comparison", name)
                    .with_hint(format!("name what is in it, as in {name}->field or {name}->0, or test is.null"));
            }
        };
        let problem = Problem::new(StatusCode::BAD_REQUEST, code, error.to_string());
        let problem = problem.with_details(format!("in a filter on \"{name}\""));
        // A `+` in a query string is a space.
        match (operand.compared_type(), text.rsplit_once(' ')) {
            (DataType::Timestamp(..), Some((_, zone))) if zone.contains(':') => {
                problem.with_hint("a + before the zone's offset must be sent as %2B")
            }
            _ => problem,
        }
    })
}

/// 0 for -0, which is equal to it: rows are also found by a hash of their value.
fn unsigned_zero(value: ScalarValue) -> ScalarValue {
    match value {
        ScalarValue::Float64(Some(value)) => ScalarValue::Float64(Some(value + 0.0)),
        ScalarValue::Float32(Some(value)) => ScalarValue::Float32(Some(value + 0.0)),
        other => other,
    }
}

fn require_text(operand: &Operand, name: &str, operator: &str) -> Result<(), Problem> {
    match operand.compared_type() {
        DataType::Utf8View | DataType::Utf8 | DataType::LargeUtf8 => Ok(()),
        _ => Err(wrong_operator(operator, name).with_hint("patterns are for text columns and for ->> paths")),
    }
}

fn wrong_operator(operator: &str, name: &str) -> Problem {
    let message = format!("{operator} does not fit the type of \"{name}\"");
    Problem::new(StatusCode::BAD_REQUEST, "42883", message)
}

fn access(step: &Step, data_type: &DataType, column: &str) -> Result<(Access, DataType), Problem> {
    match (step, data_type) {
        (Step::Key(key), DataType::Struct(fields)) => {
            let Some(at) = fields.iter().position(|field| field.name() == key) else {
                return Err(unknown_field(column, key, fields));
            };
            Ok((Access::Field(at), fields[at].data_type().clone()))
        }
        (Step::Key(key), DataType::Map(entries, _)) => Ok((Access::Key(key.clone()), map_value(entries.data_type()))),
        (Step::Index(key), DataType::Map(entries, _)) => {
            Ok((Access::Key(key.to_string()), map_value(entries.data_type())))
        }
        (Step::Index(at), DataType::List(element) | DataType::LargeList(element)) => {
            Ok((Access::Index(*at), element.data_type().clone()))
        }
        (Step::Key(key), DataType::List(_) | DataType::LargeList(_)) => {
            Err(Problem::new(StatusCode::BAD_REQUEST, "42703", format!("\"{key}\" is not an index of an array"))
                .with_hint(format!("elements count from 0, as in {column}->0")))
        }
        _ => Err(Problem::new(StatusCode::BAD_REQUEST, "42883", format!("\"{column}\" has nothing under it there"))
            .with_hint("paths go into structs, maps and arrays")),
    }
}

fn map_value(entries: &DataType) -> DataType {
    match entries {
        DataType::Struct(fields) if fields.len() == 2 => fields[1].data_type().clone(),
        _ => DataType::Null,
    }
}

/// As a query has it.
fn written(field: &Field) -> String {
    let steps = field.path.iter().map(|step| match step {
        Step::Key(key) => format!("->{key}"),
        Step::Index(at) => format!("->{at}"),
    });
    std::iter::once(field.name.clone()).chain(steps).collect()
}

fn unknown_column<'a>(collection: &str, name: &str, names: impl Iterator<Item = &'a str> + Clone) -> Problem {
    let problem = Problem::new(StatusCode::BAD_REQUEST, "42703", format!("column {collection}.{name} does not exist"));
    match manade_model::closest(name, names.clone()) {
        Some(near) => problem.with_nearest(Some(near)),
        None => problem.with_hint(format!("its columns are: {}", names.collect::<Vec<_>>().join(", "))),
    }
}

fn unknown_field(column: &str, key: &str, fields: &Fields) -> Problem {
    let names = || fields.iter().map(|field| field.name().as_str());
    let problem = Problem::new(StatusCode::BAD_REQUEST, "42703", format!("\"{column}\" has no field \"{key}\""));
    match manade_model::closest(key, names()) {
        Some(near) => problem.with_nearest(Some(near)),
        None => problem.with_hint(format!("its fields are: {}", names().collect::<Vec<_>>().join(", "))),
    }
}

/// Types by PostgreSQL's names, the first of which messages show. What a cast makes of a value is Spark's.
fn cast_types() -> [(&'static [&'static str], DataType); 9] {
    let timestamp = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    [
        (&["boolean", "bool"], DataType::Boolean),
        (&["smallint", "int2"], DataType::Int16),
        (&["integer", "int", "int4"], DataType::Int32),
        (&["bigint", "int8"], DataType::Int64),
        (&["real", "float4"], DataType::Float32),
        (&["float8", "double precision", "double", "float"], DataType::Float64),
        (&["date"], DataType::Date32),
        (&["timestamp", "timestamp without time zone"], timestamp(None)),
        (&["timestamptz", "timestamp with time zone"], timestamp(Some("UTC"))),
    ]
}

/// The operand, and what is to be made of it.
fn cast(operand: Operand, name: &str) -> Result<(Operand, Option<Cast>), Problem> {
    let nested = operand.data_type.is_nested();
    let data_type = match name {
        "text" | "varchar" | "character varying" | "string" => return Ok((operand, Some(Cast::Text))),
        // Of a nested value, its text is its JSON.
        "json" | "jsonb" if nested => return Ok((Operand { text: false, ..operand }, None)),
        "json" | "jsonb" => None,
        // PostgreSQL's holds any number, so a decimal stays what it is.
        "numeric" | "decimal" => Some(match operand.compared_type() {
            decimal @ DataType::Decimal128(..) => decimal.clone(),
            _ => NUMERIC,
        }),
        _ => {
            if let Some((_, data_type)) = cast_types().into_iter().find(|(names, _)| names.contains(&name)) {
                Some(data_type)
            } else {
                let message = format!("type \"{name}\" does not exist");
                return Err(Problem::new(StatusCode::BAD_REQUEST, "42704", message)
                    .with_hint(format!("casts go to text, json, numeric, {}", cast_names(|_| true).join(", "))));
            }
        }
    };
    let from = operand.compared_type();
    let castable = |to: &DataType| !from.is_nested() && manade_functions::castable(from, to);
    if let Some(to) = data_type.filter(castable) {
        Ok((operand, Some(Cast::To(to))))
    } else {
        let mut to = vec!["text"];
        to.extend(nested.then_some("json"));
        to.extend(castable(&NUMERIC).then_some("numeric"));
        to.extend(cast_names(castable));
        let message = format!("a value of type {} cannot be cast to {name}", spark_name(from));
        Err(Problem::new(StatusCode::BAD_REQUEST, "42846", message)
            .with_hint(format!("it can be cast to: {}", to.join(", "))))
    }
}

fn cast_names(wanted: impl Fn(&DataType) -> bool) -> Vec<&'static str> {
    cast_types().into_iter().filter(|(_, data_type)| wanted(data_type)).map(|(names, _)| names[0]).collect()
}

fn expand(
    operand: Operand,
    descending: bool,
    nulls_first: bool,
    name: &str,
    order: &mut Vec<Order>,
) -> Result<(), Problem> {
    match operand.compared_type() {
        DataType::Struct(fields) => {
            for (at, field) in fields.clone().iter().enumerate() {
                let mut path = operand.path.clone();
                path.push(Access::Field(at));
                let inner = Operand { path, data_type: field.data_type().clone(), ..operand };
                expand(inner, descending, nulls_first, &format!("{name}->{}", field.name()), order)?;
            }
            Ok(())
        }
        DataType::List(_) | DataType::LargeList(_) => {
            Err(wrong_operator("an order", name).with_hint(format!("order by what is in it, as in {name}->0")))
        }
        DataType::Map(..) => {
            Err(wrong_operator("an order", name).with_hint(format!("order by what is in it, as in {name}->key")))
        }
        _ => {
            order.push(Order { operand, descending, nulls_first });
            Ok(())
        }
    }
}

fn equality(predicate: &Predicate) -> Option<(usize, ScalarValue)> {
    match predicate {
        Predicate::Compare { operand, comparison: Comparison::Eq, value }
            if operand.path.is_empty() && !operand.text =>
        {
            // A decimal literal has its own scale, which is not the column's.
            (value.data_type() == operand.data_type).then(|| (operand.column, value.clone()))
        }
        _ => None,
    }
}
