//! Functions of JSON text.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryViewArray, BooleanArray, MapArray, StringViewArray, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use datafusion::common::{DataFusionError, Result, ScalarValue, exec_err, plan_err};
use manade_events::arrow_type;
use manade_events::datetime::Pattern;
use manade_model::types::SparkType;
use manade_model::{parse_fields, parse_type};
use serde_json::{Number, Value};

use crate::cast::{
    cast_column, parse_date, parse_decimal, parse_double, parse_timestamp, put, show_double, show_value,
};
use crate::columns::{At, Lists, numbers, strings, text_lists, written};
use crate::function::Arg::{Any, Text};
use crate::function::{Function, Returns};
use crate::types::{self, list_of, map_of};

const TEXT: Returns = Returns::Is(|| DataType::Utf8View);

pub(crate) static FUNCTIONS: &[Function] = &[
    Function::new("get_json_object", &[Text, Text], TEXT, get_json_object)
        .doc(
            "get_json_object(json, path)",
            "What stands at a path such as $.a.b[0] or $.a[*].b, null if there is nothing.",
        )
        .differs("strict JSON only; of repeated keys the last holds"),
    Function::new("json_array_length", &[Text], Returns::Is(|| DataType::Int32), |args, t| {
        let text = strings(&args[0]);
        numbers::<Int32Type>(text.len(), t, |i| Some(parse(text.at(i)?)?.as_array()?.len() as i32))
    })
    .doc("json_array_length(json)", "Number of elements of an array; null if it is none."),
    Function::new("json_object_keys", &[Text], Returns::Is(|| list_of(DataType::Utf8View)), |args, _| {
        let text = strings(&args[0]);
        text_lists(text.len(), |i, out| {
            parse(text.at(i)?)?.as_object()?.keys().for_each(|key| out.append_value(key));
            Some(())
        })
    })
    .doc("json_object_keys(json)", "The keys of an object; null if it is none.")
    .differs("a key that occurs twice is there once"),
    Function::new("from_json", &[Text, Any, Any], Returns::Constants(from_json_type), from_json)
        .optional(1)
        .doc(
            "from_json(json, schema[, options])",
            "A struct, array or map of a schema such as 'a INT, b ARRAY<STRING>'; a field, array or map that does not fit is null.",
        )
        .differs("options: timestampFormat, dateFormat; strict JSON only")
        .tried(),
    Function::new("to_json", &[Any], TEXT, |args, _| {
        if !args[0].data_type().is_nested() {
            return exec_err!(
                "to_json() takes a struct, an array or a map, not {}",
                types::spark_name(args[0].data_type())
            );
        }
        written(args[0].len(), |i, out| args[0].is_valid(i).then(|| write_value(&args[0], i, out)))
    })
    .doc("to_json(x)", "A struct, array or map as JSON, without fields that are null.")
    .differs("no options"),
];

fn parse(text: &str) -> Option<Value> {
    if text.contains("-0") {
        return serde_json::from_str(&without_negative_zeros(text)).ok();
    }
    serde_json::from_str(text).ok()
}

/// `-0` is the integer 0, which serde_json takes for a double.
fn without_negative_zeros(text: &str) -> String {
    let (mut out, mut quoted, mut chars) = (String::with_capacity(text.len()), false, text.char_indices());
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' if quoted => {
                out.push(c);
                out.extend(chars.next().map(|(_, escaped)| escaped));
                continue;
            }
            '-' if !quoted
                && out.chars().next_back().is_none_or(|before| !before.is_alphanumeric())
                && text[at..].strip_prefix("-0").is_some_and(|rest| !rest.starts_with(['.', 'e', 'E'])) =>
            {
                continue;
            }
            _ => {}
        }
        out.push(c);
    }
    out
}

/// A step of a path.
#[derive(Debug, PartialEq)]
enum Step {
    Key(String),
    Index(usize),
    All,
}

/// Reads `$.key`, `['key']`, `[0]`, `[*]`; none if it is no path.
fn path_of(path: &str) -> Option<Vec<Step>> {
    let mut rest = path.strip_prefix('$')?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("['") {
            let (key, after) = after.split_once("']")?;
            steps.push(Step::Key(key.to_owned()));
            rest = after;
        } else if let Some(after) = rest.strip_prefix('[') {
            let (index, after) = after.split_once(']')?;
            steps.push(if index == "*" { Step::All } else { Step::Index(index.parse().ok()?) });
            rest = after;
        } else {
            let after = rest.strip_prefix('.')?;
            let end = after.find(['.', '[']).unwrap_or(after.len());
            let key = &after[..end];
            if key.is_empty() || key == "*" {
                return None;
            }
            steps.push(Step::Key(key.to_owned()));
            rest = &after[end..];
        }
    }
    Some(steps)
}

fn get_json_object(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (text, paths) = (strings(&args[0]), strings(&args[1]));
    let mut last: Option<(&str, Option<Vec<Step>>)> = None;
    written(text.len(), |i, out| {
        let (text, path) = (text.at(i)?, paths.at(i)?);
        if last.as_ref().is_none_or(|(known, _)| *known != path) {
            last = Some((path, path_of(path)));
        }
        let steps = last.as_ref()?.1.as_ref()?;
        let value = parse(text)?;
        let found = if steps.is_empty() { Found::One(&value) } else { find(&value, steps) };
        match found {
            Found::One(Value::String(text)) => out.push_str(text),
            Found::One(value) => write_json(value, out),
            Found::Many(values) => match values.as_slice() {
                [one] => write_json(one, out),
                all => list(all.iter(), out, |value, out| write_json(value, out)),
            },
            Found::None => return None,
        }
        Some(())
    })
}

enum Found<'a> {
    None,
    One(&'a Value),
    Many(Vec<&'a Value>),
}

fn find<'a>(value: &'a Value, steps: &[Step]) -> Found<'a> {
    let Some((step, rest)) = steps.split_first() else {
        return if value.is_null() { Found::None } else { Found::One(value) };
    };
    let next = match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.get(index),
        Step::All => {
            let mut all = Vec::new();
            for element in value.as_array().into_iter().flatten() {
                match find(element, rest) {
                    Found::None if rest.is_empty() => all.push(element),
                    Found::None => {}
                    Found::One(value) => all.push(value),
                    Found::Many(values) => all.extend(values),
                }
            }
            return if all.is_empty() { Found::None } else { Found::Many(all) };
        }
    };
    next.map_or(Found::None, |value| find(value, rest))
}

fn list<T>(items: impl Iterator<Item = T>, out: &mut String, mut each: impl FnMut(T, &mut String)) {
    out.push('[');
    for (i, item) in items.enumerate() {
        if i > 0 {
            out.push(',');
        }
        each(item, out);
    }
    out.push(']');
}

fn quoted(text: &str, out: &mut String) {
    out.push_str(&Value::String(text.to_owned()).to_string());
}

fn write_number(number: &Number, out: &mut String) {
    match number.as_f64() {
        Some(value) if number.is_f64() => show_double(value, out),
        _ => put(out, format_args!("{number}")),
    }
}

fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::Number(number) => write_number(number, out),
        Value::Array(values) => list(values.iter(), out, write_json),
        Value::Object(fields) => {
            out.push('{');
            for (i, (key, value)) in fields.iter().enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                quoted(key, out);
                out.push(':');
                write_json(value, out);
            }
            out.push('}');
        }
        other => put(out, format_args!("{other}")),
    }
}

/// The value at a row as JSON.
fn write_value(column: &ArrayRef, row: usize, out: &mut String) {
    if types::is_null(column, row) {
        out.push_str("null");
        return;
    }
    let shown = |quote: bool, out: &mut String| {
        let mut text = String::new();
        show_value(column, row, &mut text);
        if quote { quoted(&text, out) } else { out.push_str(&text) }
    };
    match column.data_type() {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Decimal128(..) => shown(false, out),
        DataType::Float32 => {
            let finite = column.as_primitive::<Float32Type>().value(row).is_finite();
            shown(!finite, out);
        }
        DataType::Float64 => {
            let finite = column.as_primitive::<Float64Type>().value(row).is_finite();
            shown(!finite, out);
        }
        DataType::Timestamp(_, zone) => {
            let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
            let time = chrono::DateTime::from_timestamp_micros(micros).unwrap_or_default();
            let zone = if zone.is_some() { "Z" } else { "" };
            put(out, format_args!("\"{}{zone}\"", time.format("%Y-%m-%dT%H:%M:%S%.3f")));
        }
        DataType::BinaryView => quoted(&crate::strings::base64(column.as_binary_view().value(row)), out),
        DataType::List(_) => {
            let values = column.as_list::<i32>().value(row);
            list(0..values.len(), out, |i, out| write_value(&values, i, out));
        }
        DataType::Struct(fields) => {
            let columns = column.as_struct().columns();
            let valid = fields.iter().zip(columns).filter(|(_, c)| !types::is_null(c, row));
            out.push('{');
            for (i, (field, value)) in valid.enumerate() {
                out.push_str(if i > 0 { "," } else { "" });
                quoted(field.name(), out);
                out.push(':');
                write_value(value, row, out);
            }
            out.push('}');
        }
        DataType::Map(..) => {
            let entries = column.as_map().value(row);
            out.push('{');
            for i in 0..entries.len() {
                out.push_str(if i > 0 { "," } else { "" });
                let mut key = String::new();
                show_value(entries.column(0), i, &mut key);
                quoted(&key, out);
                out.push(':');
                write_value(entries.column(1), i, out);
            }
            out.push('}');
        }
        _ => shown(true, out),
    }
}

/// The type that a schema text names: one type, or the fields of a struct.
fn schema_of(text: &str) -> Result<SparkType> {
    let schema = match parse_type(text) {
        Ok(schema) => schema,
        Err(_) => SparkType::Struct(
            parse_fields(text).map_err(|e| DataFusionError::Execution(format!("schema '{text}': {e}")))?,
        ),
    };
    match schema {
        SparkType::Struct(_) | SparkType::Array(_) | SparkType::Map(..) => Ok(schema),
        _ => plan_err!("from_json() makes structs, arrays and maps: '{text}' is none"),
    }
}

fn from_json_type(_: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    let Some(text) = constants.get(1).copied().flatten().and_then(|c| c.try_as_str().flatten()) else {
        return plan_err!("the schema of from_json() must be a constant text");
    };
    Ok(arrow_type(&schema_of(text)?))
}

/// How texts become dates and timestamps.
#[derive(Default)]
struct Formats {
    timestamp: Option<Pattern>,
    date: Option<Pattern>,
}

impl Formats {
    fn of(options: Option<&ArrayRef>) -> Result<Self> {
        let mut formats = Self::default();
        let Some(options) = options.filter(|o| !o.is_empty() && o.is_valid(0)) else { return Ok(formats) };
        let Some(map) = options.as_map_opt() else { return exec_err!("the options of from_json() are a map") };
        let entries: ArrayRef = Arc::new(map.value(0));
        let text = |part: usize| cast_column(entries.as_struct().column(part), &DataType::Utf8View);
        let (keys, values) = (text(0)?, text(1)?);
        for i in 0..keys.len() {
            let (Some(key), Some(value)) = (strings(&keys).at(i), strings(&values).at(i)) else { continue };
            let pattern =
                Pattern::compile(value).map_err(|e| DataFusionError::Execution(format!("pattern '{value}': {e}")))?;
            match key.to_ascii_lowercase().as_str() {
                "timestampformat" => formats.timestamp = Some(pattern),
                "dateformat" => formats.date = Some(pattern),
                _ => return exec_err!("from_json() has no option {key}: timestampFormat and dateFormat are known"),
            }
        }
        Ok(formats)
    }
}

fn from_json(args: &[ArrayRef], t: &DataType) -> Result<ArrayRef> {
    let schemas = cast_column(&args[1], &DataType::Utf8View)?;
    let (text, schemas) = (strings(&args[0]), strings(&schemas));
    let Some(schema) = (0..schemas.len()).find_map(|i| schemas.at(i)) else {
        return Ok(arrow::array::new_null_array(t, text.len()));
    };
    let schema = schema_of(schema)?;
    let formats = Formats::of(args.get(2))?;
    let empty = Value::Object(serde_json::Map::new());
    let parsed: Vec<Option<Value>> = (0..text.len())
        .map(|i| {
            let text = text.at(i).filter(|t| !t.trim().is_empty())?;
            let value = parse(text);
            match (&schema, value) {
                // What is no object at all makes a struct of nulls.
                (SparkType::Struct(_), value) => Some(value.filter(Value::is_object).unwrap_or_else(|| empty.clone())),
                (SparkType::Array(item), Some(one @ Value::Object(_))) if matches!(**item, SparkType::Struct(_)) => {
                    Some(Value::Array(vec![one]))
                }
                (_, value) => value,
            }
        })
        .collect();
    column(&parsed.iter().map(Option::as_ref).collect::<Vec<_>>(), &schema, &formats)
}

/// A column of JSON values; what does not fit the type is null.
fn column(values: &[Option<&Value>], schema: &SparkType, formats: &Formats) -> Result<ArrayRef> {
    let t = arrow_type(schema);
    let rows = values.len();
    let integer = |i: usize| values[i]?.as_i64();
    let text = |i: usize| values[i]?.as_str();
    let double = |i: usize| match values[i]? {
        Value::Number(number) => number.as_f64(),
        Value::String(text)
            if matches!(text.as_str(), "NaN" | "Infinity" | "+Infinity" | "-Infinity" | "INF" | "+INF" | "-INF") =>
        {
            parse_double(text)
        }
        _ => None,
    };
    match schema {
        SparkType::Boolean => Ok(Arc::new((0..rows).map(|i| values[i]?.as_bool()).collect::<BooleanArray>())),
        SparkType::Byte => numbers::<Int8Type>(rows, &t, |i| integer(i)?.try_into().ok()),
        SparkType::Short => numbers::<Int16Type>(rows, &t, |i| integer(i)?.try_into().ok()),
        SparkType::Int => numbers::<Int32Type>(rows, &t, |i| integer(i)?.try_into().ok()),
        SparkType::Long => numbers::<Int64Type>(rows, &t, integer),
        SparkType::Float => numbers::<Float32Type>(rows, &t, |i| double(i).map(|v| v as f32)),
        SparkType::Double => numbers::<Float64Type>(rows, &t, double),
        SparkType::Decimal { precision, scale } => numbers::<Decimal128Type>(rows, &t, |i| {
            let digits = match values[i]? {
                Value::Number(number) => number.to_string(),
                // As Spark reads it: without commas, and with no space around.
                Value::String(text) if !text.contains(|c: char| c <= ' ' || c.is_whitespace()) => text.replace(',', ""),
                _ => return None,
            };
            parse_decimal(&digits, *precision, *scale as i8)
        }),
        SparkType::String => Ok(text_column(values)),
        SparkType::Binary => {
            let bytes: Vec<_> = (0..rows).map(|i| crate::strings::unbase64(text(i)?)).collect();
            Ok(Arc::new(bytes.iter().map(Option::as_deref).collect::<BinaryViewArray>()))
        }
        SparkType::Date(_) => numbers::<Date32Type>(rows, &t, |i| match &formats.date {
            Some(pattern) => Some(pattern.parse(text(i)?)?.div_euclid(86_400_000_000) as i32),
            None => parse_date(text(i)?),
        }),
        SparkType::Timestamp(_) | SparkType::TimestampNtz(_) => {
            let zoned = matches!(schema, SparkType::Timestamp(_));
            // A whole number counts seconds.
            let seconds = |i: usize| integer(i).filter(|_| zoned)?.checked_mul(1_000_000);
            numbers::<TimestampMicrosecondType>(rows, &t, |i| match (text(i), &formats.timestamp) {
                (None, _) => seconds(i),
                (Some(text), Some(pattern)) => pattern.parse(text),
                (Some(text), None) => parse_timestamp(text, zoned),
            })
        }
        SparkType::Array(item) => list_column(values, item, formats),
        SparkType::Map(key, value) => map_column(values, key, value, formats),
        SparkType::Struct(fields) => {
            let DataType::Struct(names) = t else { return exec_err!("not a struct: {t}") };
            let nulls: NullBuffer = values.iter().map(|v| v.is_some_and(Value::is_object)).collect();
            let columns = fields.iter().map(|field| {
                let parts: Vec<_> = values.iter().map(|v| v.and_then(|v| v.get(&field.name))).collect();
                column(&parts, &field.data_type, formats)
            });
            let columns = columns.collect::<Result<Vec<_>>>()?;
            Ok(Arc::new(StructArray::try_new_with_length(names, columns, Some(nulls), rows)?))
        }
    }
}

fn list_column(values: &[Option<&Value>], item: &SparkType, formats: &Formats) -> Result<ArrayRef> {
    let arrays: Vec<_> = values.iter().map(|value| value.and_then(Value::as_array)).collect();
    let items: Vec<_> = arrays.iter().copied().flatten().flatten().map(Some).collect();
    let column = column(&items, item, formats)?;
    let (mut lists, mut end) = (Lists::with_capacity(values.len()), 0);
    for array in arrays {
        let start = end;
        end += array.map_or(0, Vec::len);
        lists.push(end, array.is_some() && all_fit(&items[start..end], &column, start));
    }
    lists.finish(column)
}

/// Texts as they are, other values as JSON.
fn text_column(values: &[Option<&Value>]) -> ArrayRef {
    let texts = values.iter().map(|value| match value {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => {
            let mut out = String::new();
            write_json(other, &mut out);
            Some(out)
        }
    });
    Arc::new(texts.collect::<StringViewArray>())
}

/// Whether none of the values, which stand in `column` from `start` on, was lost for not being of its type.
fn all_fit(values: &[Option<&Value>], column: &ArrayRef, start: usize) -> bool {
    values.iter().enumerate().all(|(i, value)| column.is_valid(start + i) || value.is_none_or(Value::is_null))
}

fn map_column(values: &[Option<&Value>], key: &SparkType, value: &SparkType, formats: &Formats) -> Result<ArrayRef> {
    let objects: Vec<_> = values.iter().map(|value| value.and_then(Value::as_object)).collect();
    let (mut keys, mut items) = (Vec::new(), Vec::new());
    for (key, item) in objects.iter().copied().flatten().flatten() {
        keys.push(Some(key.as_str()));
        items.push(Some(item));
    }
    let texts: ArrayRef = Arc::new(keys.into_iter().collect::<StringViewArray>());
    let keys = cast_column(&texts, &arrow_type(key))?;
    let column = column(&items, value, formats)?;
    let (mut lists, mut end) = (Lists::with_capacity(values.len()), 0);
    for object in objects {
        let start = end;
        end += object.map_or(0, serde_json::Map::len);
        lists.push(end, object.is_some() && all_fit(&items[start..end], &column, start));
    }
    let DataType::Map(field, _) = map_of(arrow_type(key), arrow_type(value)) else { return exec_err!("not a map") };
    let DataType::Struct(fields) = field.data_type().clone() else { return exec_err!("not a map's entry") };
    let (offsets, nulls) = lists.into_parts();
    let entries = StructArray::try_new(fields, vec![keys, column], None)?;
    Ok(Arc::new(MapArray::try_new(field, offsets, entries, nulls, false)?))
}
