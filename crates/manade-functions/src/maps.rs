//! Functions of maps and structs.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, ListArray, MapArray, StringViewArray, StructArray, UInt32Array, make_array,
    new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};

use crate::collections::{indexed, pair, pick, rows_of, same_or_none};
use crate::columns::{At, Lists, booleans, ints, span, strings};
use crate::function::Arg::{Any, Text};
use crate::function::{Function, Returns, common};
use crate::regexps::split;
use crate::types::{self, entry, item, list_of, map_of, widest};

const BOOLEAN: Returns = Returns::Is(|| DataType::Boolean);

pub(crate) const ELEMENT_AT: Function =
    Function::by("element_at", element_at_args, Returns::By(element_at_type), element_at)
        .aliases(&["try_element_at"])
        .doc(
            "element_at(array, position) or element_at(map, key)",
            "An element from 1, or from the end; a key's value, also map[key]; null if there is none.",
        )
        .differs("position 0 gives null, not an error");

pub(crate) const STRUCT: Function = Function::many("struct", &[], Any, Returns::By(struct_type), structure)
    .doc("struct(a, b, ...)", "A struct.")
    .differs("fields are named col1, col2, ... unless the SQL names them");

/// `items.sku` over an array of structs; the field's name is a literal.
const LIST_FIELD: Function =
    Function::new("list_field", &[Any, Text], Returns::Constants(list_field_type), |args, t| {
        let list: &ListArray = args[0].as_list();
        let Some(name) = args[1].is_empty().then_some("").or_else(|| strings(&args[1]).at(0)) else {
            return exec_err!("the name of a field is missing");
        };
        let DataType::List(field) = t else { return exec_err!("not a list: {t}") };
        let elements = list.values().as_struct();
        let values = match elements.column_by_name(name) {
            Some(values) => make_array(
                values
                    .to_data()
                    .into_builder()
                    .nulls(NullBuffer::union(elements.nulls(), values.logical_nulls().as_ref()))
                    .build()?,
            ),
            None => new_null_array(field.data_type(), elements.len()),
        };
        Ok(Arc::new(ListArray::try_new(Arc::clone(field), list.offsets().clone(), values, list.nulls().cloned())?))
    });

fn list_field_type(given: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    let (DataType::Struct(fields), Some(Some(name))) = (item(&given[0])?, constants.get(1)) else {
        return plan_err!("an array of structs and a field's name are needed");
    };
    let name = name.to_string();
    let Some(field) = fields.iter().find(|field| *field.name() == name) else {
        return plan_err!("there is no field {name}");
    };
    Ok(list_of(field.data_type().clone()))
}

pub(crate) static FUNCTIONS: &[Function] = &[
    ELEMENT_AT,
    STRUCT,
    LIST_FIELD,
    Function::by("map", map_args, Returns::By(|given| Ok(map_type_of(given))), |args, t| {
        let pairs = args.len() / 2;
        if pairs == 0 {
            return Ok(new_empty_map(t, 1));
        }
        let rows = args[0].len();
        let interleaved = |first: usize| -> Result<ArrayRef> {
            let columns: Vec<&dyn Array> = (0..pairs).map(|p| args[2 * p + first].as_ref()).collect();
            let order = (0..rows).flat_map(|i| (0..pairs).map(move |p| (p * rows + i) as u32));
            Ok(take(&concat(&columns)?, &UInt32Array::from_iter_values(order), None)?)
        };
        let lists = Lists::with_capacity(rows);
        let lists = (1..=rows).fold(lists, |mut lists, n| {
            lists.push(n * pairs, true);
            lists
        });
        map_column(lists, interleaved(0)?, interleaved(1)?)
    })
    .doc("map(key, value, ...)", "A map of keys of one type and values of one type.")
    .differs("of equal keys the last holds, not an error"),
    Function::new("map_keys", &[Any], Returns::By(|given| Ok(list_of(entry(&given[0])?.0))), |args, _| {
        Ok(map_part(&args[0], 0))
    })
    .doc("map_keys(map)", "The keys."),
    Function::new("map_values", &[Any], Returns::By(|given| Ok(list_of(entry(&given[0])?.1))), |args, _| {
        Ok(map_part(&args[0], 1))
    })
    .doc("map_values(map)", "The values."),
    Function::new("map_entries", &[Any], Returns::By(entries_type), |args, t| {
        let map = args[0].as_map();
        let DataType::List(field) = t else { return exec_err!("not a list: {t}") };
        let entries = Arc::new(map.entries().clone()) as ArrayRef;
        let entries = crate::cast::cast_column(&entries, field.data_type())?;
        Ok(Arc::new(ListArray::try_new(Arc::clone(field), map.offsets().clone(), entries, map.nulls().cloned())?))
    })
    .doc("map_entries(map)", "Structs of key and value."),
    Function::new(
        "map_from_arrays",
        &[Any, Any],
        Returns::By(|given| Ok(map_of(item(&given[0])?, item(&given[1])?))),
        |args, _| {
            let (keys, values) = (args[0].as_list::<i32>(), args[1].as_list::<i32>());
            merged(keys.len(), &[(keys.values(), values.values())], |i, _| {
                let (k, v) = (span(keys, i)?, span(values, i)?);
                (k.len() == v.len()).then(|| k.zip(v).collect())
            })
        },
    )
    .doc("map_from_arrays(keys, values)", "A map of keys and values.")
    .differs("arrays of different lengths give null, equal keys the last value: not errors"),
    Function::new("map_from_entries", &[Any], Returns::By(from_entries_type), |args, _| {
        let list = args[0].as_list::<i32>();
        let entries = list.values().as_struct();
        merged(list.len(), &[(entries.column(0), entries.column(1))], |i, _| {
            let at = span(list, i)?;
            at.clone().all(|n| entries.is_valid(n as usize)).then(|| at.map(|n| (n, n)).collect())
        })
    })
    .doc("map_from_entries(array)", "A map of structs of key and value.")
    .differs("of equal keys the last holds, not an error"),
    Function::by("map_concat", same_or_none, Returns::Like(0), |args, _| {
        let maps: Vec<&MapArray> = args.iter().map(AsArray::as_map).collect();
        let parts: Vec<_> = maps.iter().map(|m| (m.keys(), m.values())).collect();
        merged(args[0].len(), &parts, |i, part| {
            let map = maps[part];
            map.is_valid(i).then(|| {
                let at = map.value_offsets();
                (at[i] as u32..at[i + 1] as u32).map(|n| (n, n)).collect()
            })
        })
    })
    .doc("map_concat(a, b, ...)", "The entries of all maps.")
    .differs("of equal keys the last holds, not an error"),
    Function::by("map_contains_key", key_args, BOOLEAN, |args, _| {
        let found = find_key(args)?;
        booleans(args[0].len(), |i| (args[0].is_valid(i) && args[1].is_valid(i)).then(|| found[i].is_some()))
    })
    .doc("map_contains_key(map, key)", "Whether a map has a key."),
    Function::new("str_to_map", &[Text, Text, Text], STR_TO_MAP, |args, _| str_to_map(args))
        .optional(2)
        .doc("str_to_map(text[, pairs[, keys]])", "A map from a text such as a:1,b:2, which patterns cut.")
        .differs("of equal keys the last holds, not an error")
        .tried(),
];

const STR_TO_MAP: Returns = Returns::Is(|| map_of(DataType::Utf8View, DataType::Utf8View));

fn str_to_map(args: &[ArrayRef]) -> Result<ArrayRef> {
    let rows = args[0].len();
    let delimiters = |index: usize, usual: &str| match args.get(index) {
        Some(given) => Arc::clone(given),
        None => Arc::new(StringViewArray::from_iter_values(std::iter::repeat_n(usual, rows))),
    };
    let (between, within) = (delimiters(1, ","), delimiters(2, ":"));
    let pairs = split(&[Arc::clone(&args[0]), between], &DataType::Null)?;
    let pairs: &ListArray = pairs.as_list();
    let row_of = (0..rows).flat_map(|i| span(pairs, i).into_iter().flatten().map(move |_| i as u32));
    let within_of = take(&within, &UInt32Array::from_iter_values(row_of), None)?;
    let two = Arc::new(Int32Array::from(vec![2; within_of.len()]));
    let halves = split(&[Arc::clone(pairs.values()), within_of, two], &DataType::Null)?;
    let halves: &ListArray = halves.as_list();
    let half = |index: usize| -> Result<ArrayRef> {
        let at: UInt32Array = (0..halves.len()).map(|n| span(halves, n)?.nth(index)).collect();
        Ok(take(halves.values(), &at, None)?)
    };
    merged(rows, &[(&half(0)?, &half(1)?)], |i, _| {
        within.is_valid(i).then_some(())?;
        Some(span(pairs, i)?.map(|n| (n, n)).collect())
    })
}

fn map_args(given: &[DataType]) -> Result<Vec<DataType>> {
    if given.len() % 2 == 1 {
        return plan_err!("map() takes pairs of key and value");
    }
    let every = |first: usize| common(&given.iter().skip(first).step_by(2).cloned().collect::<Vec<_>>());
    let (keys, values) = (every(0)?, every(1)?);
    Ok((0..given.len()).map(|i| if i % 2 == 0 { keys.clone() } else { values.clone() }).collect())
}

fn map_type_of(given: &[DataType]) -> DataType {
    match given {
        [key, value, ..] => map_of(key.clone(), value.clone()),
        _ => map_of(DataType::Null, DataType::Null),
    }
}

fn new_empty_map(t: &DataType, rows: usize) -> ArrayRef {
    let empty = arrow::array::new_empty_array(t);
    let DataType::Map(field, _) = t else { return empty };
    let offsets = arrow::buffer::OffsetBuffer::new_zeroed(rows);
    Arc::new(MapArray::new(Arc::clone(field), offsets, empty.as_map().entries().clone(), None, false))
}

/// A map column of the lists' offsets; a repeated key keeps its place and takes its last value.
pub(crate) fn map_column(lists: Lists, keys: ArrayRef, values: ArrayRef) -> Result<ArrayRef> {
    let (offsets, nulls) = lists.into_parts();
    let rows = offsets.len() - 1;
    merged(rows, &[(&keys, &values)], |i, _| {
        nulls
            .as_ref()
            .is_none_or(|n| n.is_valid(i))
            .then(|| (offsets[i] as u32..offsets[i + 1] as u32).map(|n| (n, n)).collect())
    })
}

/// Maps whose entries are picked from parts: `at(row, part)` gives the places of keys and values, none for a null map.
pub(crate) fn merged(
    rows: usize,
    parts: &[(&ArrayRef, &ArrayRef)],
    at: impl Fn(usize, usize) -> Option<Vec<(u32, u32)>>,
) -> Result<ArrayRef> {
    let keys: Vec<&dyn Array> = parts.iter().map(|(k, _)| k.as_ref()).collect();
    let values: Vec<&dyn Array> = parts.iter().map(|(_, v)| v.as_ref()).collect();
    let (keys, values) = (concat(&keys)?, concat(&values)?);
    let comparable = rows_of(&keys)?;
    let (mut picked_keys, mut picked_values): (Vec<u32>, Vec<u32>) = (Vec::new(), Vec::new());
    let mut lists = Lists::with_capacity(rows);
    for i in 0..rows {
        let before = picked_keys.len();
        let (mut key_start, mut value_start, mut valid) = (0, 0, true);
        for (part, (k, v)) in parts.iter().enumerate() {
            let Some(entries) = at(i, part) else {
                valid = false;
                break;
            };
            for (key, value) in entries {
                let (key, value) = (key + key_start, value + value_start);
                if keys.is_null(key as usize) {
                    return exec_err!("a map's key is null");
                }
                let row = comparable.row(key as usize);
                let same = |&p: &usize| comparable.row(picked_keys[p] as usize) == row;
                if let Some(place) = (before..picked_keys.len()).find(same) {
                    picked_values[place] = value;
                } else {
                    picked_keys.push(key);
                    picked_values.push(value);
                }
            }
            key_start += k.len() as u32;
            value_start += v.len() as u32;
        }
        if !valid {
            picked_keys.truncate(before);
            picked_values.truncate(before);
        }
        lists.push(picked_keys.len(), valid);
    }
    let keys = take(&keys, &UInt32Array::from(picked_keys), None)?;
    let values = take(&values, &UInt32Array::from(picked_values), None)?;
    let (offsets, nulls) = lists.into_parts();
    let DataType::Map(field, _) = map_of(keys.data_type().clone(), values.data_type().clone()) else {
        return exec_err!("not a map");
    };
    let DataType::Struct(fields) = field.data_type().clone() else { return exec_err!("not a map's entry") };
    let entries = StructArray::try_new(fields, vec![keys, values], None)?;
    Ok(Arc::new(MapArray::try_new(field, offsets, entries, nulls, false)?))
}

fn map_part(column: &ArrayRef, part: usize) -> ArrayRef {
    let map = column.as_map();
    let values = Arc::clone(map.entries().column(part));
    let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    Arc::new(ListArray::new(field, map.offsets().clone(), values, map.nulls().cloned()))
}

fn entries_type(given: &[DataType]) -> Result<DataType> {
    let (key, value) = entry(&given[0])?;
    let fields = vec![Field::new("key", key, false), Field::new("value", value, true)];
    Ok(list_of(DataType::Struct(fields.into())))
}

fn from_entries_type(given: &[DataType]) -> Result<DataType> {
    match item(&given[0])? {
        DataType::Struct(fields) if fields.len() == 2 => {
            Ok(map_of(fields[0].data_type().clone(), fields[1].data_type().clone()))
        }
        other => plan_err!("map_from_entries() takes structs of key and value, not {}", types::spark_name(&other)),
    }
}

fn key_args(given: &[DataType]) -> Result<Vec<DataType>> {
    let [map, key] = given else { return plan_err!("a map and a key are needed, not {} arguments", given.len()) };
    let (own, value) = entry(map)?;
    let Some(common) = widest(&own, key) else {
        return plan_err!("{} has no keys of type {}", types::spark_name(map), types::spark_name(key));
    };
    Ok(vec![map_of(common.clone(), value), common])
}

/// Where the key stands in the map's values, by row.
fn find_key(args: &[ArrayRef]) -> Result<Vec<Option<u32>>> {
    let map = args[0].as_map();
    let (keys, wanted) = pair(map.keys(), &args[1])?;
    let offsets = map.value_offsets();
    Ok((0..map.len())
        .map(|i| {
            (map.is_valid(i) && args[1].is_valid(i)).then_some(())?;
            (offsets[i] as u32..offsets[i + 1] as u32).find(|&n| keys.row(n as usize) == wanted.row(i))
        })
        .collect())
}

fn element_at_args(given: &[DataType]) -> Result<Vec<DataType>> {
    match given {
        [DataType::Map(..), _] => key_args(given),
        _ => indexed(given, DataType::Int32),
    }
}

fn element_at_type(given: &[DataType]) -> Result<DataType> {
    match &given[0] {
        map @ DataType::Map(..) => Ok(entry(map)?.1),
        list => item(list),
    }
}

fn element_at(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    if let Some(map) = args[0].as_map_opt() {
        return Ok(take(map.values(), &UInt32Array::from(find_key(args)?), None)?);
    }
    let (list, positions) = (args[0].as_list::<i32>(), ints(&args[1]));
    pick(list, |i, at| {
        let index = match positions.at(i)? {
            0 => return None,
            p @ 1.. => i64::from(p) - 1,
            p => at.len() as i64 + i64::from(p),
        };
        (0..at.len() as i64).contains(&index).then(|| at.start + index as u32)
    })
}

#[expect(clippy::unnecessary_wraps, reason = "the type of every type function")]
fn struct_type(given: &[DataType]) -> Result<DataType> {
    let fields = given.iter().enumerate().map(|(i, t)| Field::new(format!("col{}", i + 1), t.clone(), true));
    Ok(DataType::Struct(fields.collect()))
}

fn structure(args: &[ArrayRef], t: &DataType) -> Result<ArrayRef> {
    let DataType::Struct(fields) = t else { return exec_err!("not a struct: {t}") };
    Ok(Arc::new(StructArray::try_new(fields.clone(), args.to_vec(), None)?))
}
