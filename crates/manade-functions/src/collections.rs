//! Functions of arrays (and of arrays or maps). Elements are compared in arrow-row form, in which nulls are equal, NaN equals
//! itself and is the greatest number, and -0.0 equals 0.0.

use std::cmp::{Ordering, Reverse};
use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray, UInt32Array, new_null_array};
use arrow::compute::SortOptions;
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Date32Type, Field, Fields, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::row::{RowConverter, Rows, SortField};
use datafusion::common::{Result, exec_err, plan_err};

use crate::columns::{
    At, Lists, MOST_ELEMENTS, booleans, comparable, elements_fit, ints, numbers, picked_lists, span, strings, written,
};
use crate::function::Arg::{Any, Bool, Int};
use crate::function::{Function, Returns, common, same};
use crate::types::{self, item, list_of, widest};

const BOOLEAN: Returns = Returns::Is(|| DataType::Boolean);
const INT: Returns = Returns::Is(|| DataType::Int32);
const ITEM: Returns = Returns::By(|given| item(&given[0]));

pub(crate) const GET: Function = Function::by(
    "get",
    |given| indexed(given, DataType::Int32),
    ITEM,
    |args, _| {
        let (list, index) = (args[0].as_list::<i32>(), ints(&args[1]));
        pick(list, |i, at| {
            let index = index.at(i).filter(|&n| n >= 0)? as u32;
            Some(at.start + index).filter(|n| at.contains(n))
        })
    },
)
.doc("get(array, index)", "The element at an index from 0, null if there is none; also array[index].");

pub(crate) static FUNCTIONS: &[Function] = &[
    GET,
    Function::by("array", same_or_none, Returns::By(|given| Ok(list_of(common(given)?))), array)
        .doc("array(a, b, ...)", "An array of values of one type."),
    Function::by("array_contains", with_item, BOOLEAN, |args, _| {
        let list = args[0].as_list::<i32>();
        let (values, wanted) = pair(list.values(), &args[1])?;
        booleans(list.len(), |i| {
            let at = span(list, i)?;
            args[1].is_valid(i).then_some(())?;
            let mut nulls = false;
            for n in at {
                nulls |= list.values().is_null(n as usize);
                if values.row(n as usize) == wanted.row(i) {
                    return Some(true);
                }
            }
            (!nulls).then_some(false)
        })
    })
    .doc("array_contains(array, x)", "Whether x is an element; null if it is not but there are nulls."),
    Function::new("array_distinct", &[Any], Returns::Like(0), |args, _| {
        let list = args[0].as_list::<i32>();
        let values = rows_of(list.values())?;
        picked_lists(&comparable(list.values())?, list.len(), |i, out| {
            let mut seen = HashSet::new();
            out.extend(span(list, i)?.filter(|&n| seen.insert(values.row(n as usize))).map(Some));
            Some(())
        })
    })
    .doc("array_distinct(array)", "The elements without repetitions."),
    Function::by("array_union", same_lists, Returns::Like(0), |args, _| set(args, Set::Union))
        .doc("array_union(a, b)", "The elements of both, without repetitions."),
    Function::by("array_intersect", same_lists, Returns::Like(0), |args, _| set(args, Set::Intersect))
        .doc("array_intersect(a, b)", "The elements of a that are in b, without repetitions."),
    Function::by("array_except", same_lists, Returns::Like(0), |args, _| set(args, Set::Except))
        .doc("array_except(a, b)", "The elements of a that are not in b, without repetitions."),
    Function::by("arrays_overlap", same_lists, BOOLEAN, arrays_overlap).doc(
        "arrays_overlap(a, b)",
        "Whether they share an element that is not null; null if only nulls could be shared.",
    ),
    Function::by("array_join", join_args, Returns::Is(|| DataType::Utf8View), |args, _| {
        let (list, by) = (args[0].as_list::<i32>(), strings(&args[1]));
        let values = strings(list.values());
        written(list.len(), |i, out| {
            let (at, by) = (span(list, i)?, by.at(i)?);
            let missing = args.get(2).map(|m| strings(m).at(i));
            let shown = at.filter_map(|n| values.at(n as usize).or(missing.flatten()));
            for (k, text) in shown.enumerate() {
                out.push_str(if k > 0 { by } else { "" });
                out.push_str(text);
            }
            Some(())
        })
    })
    .doc(
        "array_join(array, delimiter[, for null])",
        "Elements joined to a text, without nulls unless told how to show them.",
    ),
    Function::new("array_max", &[Any], ITEM, |args, _| extreme(args, true))
        .doc("array_max(array)", "The greatest element."),
    Function::new("array_min", &[Any], ITEM, |args, _| extreme(args, false))
        .doc("array_min(array)", "The least element."),
    Function::by("array_position", with_item, Returns::Is(|| DataType::Int64), |args, t| {
        let list = args[0].as_list::<i32>();
        let (values, wanted) = pair(list.values(), &args[1])?;
        numbers::<Int64Type>(list.len(), t, |i| {
            let mut at = span(list, i)?;
            args[1].is_valid(i).then_some(())?;
            Some(at.position(|n| values.row(n as usize) == wanted.row(i)).map_or(0, |n| n as i64 + 1))
        })
    })
    .doc("array_position(array, x)", "Position of the first element equal to x, 0 if there is none."),
    Function::by("array_remove", with_item, Returns::Like(0), |args, _| {
        let list = args[0].as_list::<i32>();
        let (values, wanted) = pair(list.values(), &args[1])?;
        picked_lists(list.values(), list.len(), |i, out| {
            let at = span(list, i)?;
            args[1].is_valid(i).then_some(())?;
            out.extend(at.filter(|&n| values.row(n as usize) != wanted.row(i)).map(Some));
            Some(())
        })
    })
    .doc("array_remove(array, x)", "The elements that are not x."),
    Function::new("array_repeat", &[Any, Int], Returns::By(|given| Ok(list_of(given[0].clone()))), |args, _| {
        let times = ints(&args[1]);
        let times = |i: usize| times.at(i).map(|n| n.max(0) as usize);
        elements_fit("array_repeat", (0..args[0].len()).map(times))?;
        picked_lists(&args[0], args[0].len(), |i, out| {
            out.extend(std::iter::repeat_n(Some(i as u32), times(i)?));
            Some(())
        })
    })
    .doc("array_repeat(x, n)", "An array of n times x."),
    Function::new("array_sort", &[Any], Returns::Like(0), |args, _| sorted(&args[0], |_| Some(true), false))
        .doc("array_sort(array)", "The elements in ascending order, nulls last.")
        .differs("no comparator"),
    Function::new("sort_array", &[Any, Bool], Returns::Like(0), |args, _| {
        let ascending = args.get(1).map(|a| a.as_boolean().clone());
        sorted(&args[0], |i| ascending.as_ref().map_or(Some(true), |a| a.at(i)), true)
    })
    .optional(1)
    .doc("sort_array(array[, ascending])", "The elements in order; nulls first if ascending, else last."),
    Function::many("arrays_zip", &[], Any, Returns::By(zip_type), arrays_zip)
        .doc("arrays_zip(a, b, ...)", "Structs of the elements at each index, with nulls for the shorter.")
        .differs("fields are named 0, 1, ..."),
    Function::new("flatten", &[Any], ITEM, |args, _| {
        let outer = args[0].as_list::<i32>();
        let inner = outer.values().as_list::<i32>();
        picked_lists(inner.values(), outer.len(), |i, out| {
            for n in span(outer, i)? {
                out.extend(span(inner, n as usize)?.map(Some));
            }
            Some(())
        })
    })
    .doc("flatten(arrays)", "The elements of an array's arrays; null if one of those is."),
    Function::by(
        "slice",
        |given| indexed(given, DataType::Int32),
        Returns::Like(0),
        |args, _| {
            let (list, start, length) = (args[0].as_list::<i32>(), ints(&args[1]), ints(&args[2]));
            picked_lists(list.values(), list.len(), |i, out| {
                let (at, start, length) = (span(list, i)?, start.at(i)?, length.at(i).filter(|&n| n >= 0)?);
                let len = at.len() as i64;
                let from = if start > 0 { i64::from(start) - 1 } else { len + i64::from(start) };
                if (0..len).contains(&from) && start != 0 {
                    let to = (from + i64::from(length)).min(len);
                    out.extend((at.start + from as u32..at.start + to as u32).map(Some));
                }
                Some(())
            })
        },
    )
    .doc("slice(array, start, length)", "Elements from a position from 1, or from the end.")
    .differs("start 0 gives an empty array and a negative length null, not errors"),
    Function::by("array_append", with_item, Returns::Like(0), |args, _| added(args, Some))
        .doc("array_append(array, x)", "The array with x behind it."),
    Function::by("array_prepend", with_item, Returns::Like(0), |args, _| added(args, |_| Some(0)))
        .doc("array_prepend(array, x)", "The array with x before it."),
    Function::by("array_insert", insert_args, Returns::Like(0), array_insert)
        .doc(
            "array_insert(array, position, x)",
            "The array with x at a position from 1, or from the end, filled up with nulls.",
        )
        .differs("position 0 gives null, not an error"),
    Function::new("array_compact", &[Any], Returns::Like(0), |args, _| {
        let list = args[0].as_list::<i32>();
        picked_lists(list.values(), list.len(), |i, out| {
            out.extend(span(list, i)?.filter(|&n| list.values().is_valid(n as usize)).map(Some));
            Some(())
        })
    })
    .doc("array_compact(array)", "The elements that are not null."),
    Function::by("reverse", reverse_args, Returns::Like(0), |args, t| {
        if let DataType::List(_) = t {
            let list = args[0].as_list::<i32>();
            return picked_lists(list.values(), list.len(), |i, out| {
                out.extend(span(list, i)?.rev().map(Some));
                Some(())
            });
        }
        let text = strings(&args[0]);
        written(text.len(), |i, out| {
            out.extend(text.at(i)?.chars().rev());
            Some(())
        })
    })
    .doc("reverse(x)", "A text or an array backwards."),
    Function::new("size", &[Any], INT, |args, t| {
        let sizes = sizes(&args[0]);
        numbers::<Int32Type>(args[0].len(), t, |i| Some(sizes(i).unwrap_or(-1)))
    })
    .aliases(&["cardinality"])
    .doc("size(x)", "Number of elements of an array or map; -1 of null."),
    Function::new("array_size", &[Any], INT, |args, t| {
        let sizes = sizes(&args[0]);
        numbers::<Int32Type>(args[0].len(), t, sizes)
    })
    .doc("array_size(array)", "Number of elements; null of null."),
    Function::by("sequence", sequence_args, Returns::By(|given| Ok(list_of(given[0].clone()))), sequence).doc(
        "sequence(start, stop[, step])",
        "Numbers, dates or timestamps from start to stop, by 1 or one day unless told.",
    ),
];

/// Elements in comparable form.
pub(crate) fn rows_of(values: &ArrayRef) -> Result<Rows> {
    let converter = RowConverter::new(vec![SortField::new(values.data_type().clone())])?;
    Ok(converter.convert_columns(&[comparable(values)?])?)
}

/// Two columns of one type in forms that compare with each other.
pub(crate) fn pair(a: &ArrayRef, b: &ArrayRef) -> Result<(Rows, Rows)> {
    let converter = RowConverter::new(vec![SortField::new(a.data_type().clone())])?;
    Ok((converter.convert_columns(&[comparable(a)?])?, converter.convert_columns(&[comparable(b)?])?))
}

/// A column of single elements.
pub(crate) fn pick(
    list: &ListArray,
    mut at: impl FnMut(usize, std::ops::Range<u32>) -> Option<u32>,
) -> Result<ArrayRef> {
    let indexes: UInt32Array = (0..list.len()).map(|i| at(i, span(list, i)?)).collect();
    Ok(take(list.values(), &indexes, None)?)
}

fn as_list(t: &DataType) -> Result<DataType> {
    Ok(list_of(item(t)?))
}

pub(crate) fn indexed(given: &[DataType], index: DataType) -> Result<Vec<DataType>> {
    let Some((list, rest)) = given.split_first() else { return plan_err!("an array is needed") };
    Ok(std::iter::once(as_list(list)?).chain(rest.iter().map(|_| index.clone())).collect())
}

/// An array and a value of its elements' type.
fn with_item(given: &[DataType]) -> Result<Vec<DataType>> {
    let [list, x] = given else { return plan_err!("an array and a value are needed, not {} arguments", given.len()) };
    let Some(common) = widest(&item(list)?, x) else {
        return plan_err!("{} has no elements of type {}", types::spark_name(list), types::spark_name(x));
    };
    Ok(vec![list_of(common.clone()), common])
}

fn insert_args(given: &[DataType]) -> Result<Vec<DataType>> {
    let [list, _, x] = given else { return plan_err!("array_insert() takes 3 arguments, not {}", given.len()) };
    let both = with_item(&[list.clone(), x.clone()])?;
    Ok(vec![both[0].clone(), DataType::Int32, both[1].clone()])
}

fn same_lists(given: &[DataType]) -> Result<Vec<DataType>> {
    let [a, b] = given else { return plan_err!("two arrays are needed, not {}", given.len()) };
    let common = common(&[as_list(a)?, as_list(b)?])?;
    Ok(vec![common.clone(), common])
}

pub(crate) fn same_or_none(given: &[DataType]) -> Result<Vec<DataType>> {
    if given.is_empty() { Ok(Vec::new()) } else { same(given) }
}

fn join_args(given: &[DataType]) -> Result<Vec<DataType>> {
    if !(2..=3).contains(&given.len()) {
        return plan_err!("array_join() takes 2 or 3 arguments, not {}", given.len());
    }
    item(&given[0])?;
    let texts = std::iter::repeat_n(DataType::Utf8View, given.len() - 1);
    Ok(std::iter::once(list_of(DataType::Utf8View)).chain(texts).collect())
}

fn reverse_args(given: &[DataType]) -> Result<Vec<DataType>> {
    match given {
        [t @ DataType::List(_)] => Ok(vec![t.clone()]),
        [t] if !t.is_nested() => Ok(vec![DataType::Utf8View]),
        _ => plan_err!("reverse() takes one text or array"),
    }
}

fn array(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let rows = args.first().map_or(1, Array::len);
    if args.is_empty() {
        let mut lists = Lists::with_capacity(1);
        lists.push(0, true);
        return lists.finish(new_null_array(&DataType::Null, 0));
    }
    let columns: Vec<&dyn Array> = args.iter().map(AsRef::as_ref).collect();
    picked_lists(&concat(&columns)?, rows, |i, out| {
        out.extend((0..args.len()).map(|a| Some((a * rows + i) as u32)));
        Some(())
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Set {
    Union,
    Intersect,
    Except,
}

fn set(args: &[ArrayRef], set: Set) -> Result<ArrayRef> {
    let (a, b) = (args[0].as_list::<i32>(), args[1].as_list::<i32>());
    let (left, right) = pair(a.values(), b.values())?;
    let offset = a.values().len() as u32;
    let all = concat(&[comparable(a.values())?.as_ref(), comparable(b.values())?.as_ref()])?;
    picked_lists(&all, a.len(), |i, out| {
        let (first, second) = (span(a, i)?, span(b, i)?);
        let others: HashSet<_> = second.clone().map(|n| right.row(n as usize)).collect();
        let mut seen = HashSet::new();
        out.extend(
            first
                .filter(|&n| {
                    let row = left.row(n as usize);
                    let wanted = set == Set::Union || others.contains(&row) == (set == Set::Intersect);
                    wanted && seen.insert(row)
                })
                .map(Some),
        );
        if set == Set::Union {
            out.extend(second.filter(|&n| seen.insert(right.row(n as usize))).map(|n| Some(n + offset)));
        }
        Some(())
    })
}

fn arrays_overlap(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (a, b) = (args[0].as_list::<i32>(), args[1].as_list::<i32>());
    let (left, right) = pair(a.values(), b.values())?;
    booleans(a.len(), |i| {
        let (first, second) = (span(a, i)?, span(b, i)?);
        let valid = |list: &ListArray, n: &u32| list.values().is_valid(*n as usize);
        let seen: HashSet<_> = first.clone().filter(|n| valid(a, n)).map(|n| left.row(n as usize)).collect();
        if second.clone().filter(|n| valid(b, n)).any(|n| seen.contains(&right.row(n as usize))) {
            return Some(true);
        }
        let nulls = first.clone().any(|n| !valid(a, &n)) || second.clone().any(|n| !valid(b, &n));
        (!nulls || first.is_empty() || second.is_empty()).then_some(false)
    })
}

fn extreme(args: &[ArrayRef], greatest: bool) -> Result<ArrayRef> {
    let list = args[0].as_list::<i32>();
    let values = rows_of(list.values())?;
    pick(list, |_, at| {
        let valid = at.filter(|&n| list.values().is_valid(n as usize));
        let wanted = if greatest { Ordering::Greater } else { Ordering::Less };
        valid.reduce(|best, n| if values.row(n as usize).cmp(&values.row(best as usize)) == wanted { n } else { best })
    })
}

/// Lists sorted; with `first`, nulls come first in ascending order and last in descending, else always last.
fn sorted(column: &ArrayRef, ascending: impl Fn(usize) -> Option<bool>, first: bool) -> Result<ArrayRef> {
    let list = column.as_list::<i32>();
    let options = SortOptions { descending: false, nulls_first: first };
    let field = SortField::new_with_options(list.values().data_type().clone(), options);
    let values = RowConverter::new(vec![field])?.convert_columns(&[comparable(list.values())?])?;
    picked_lists(list.values(), list.len(), |i, out| {
        let mut order: Vec<u32> = span(list, i)?.collect();
        if ascending(i)? {
            order.sort_by_key(|&n| values.row(n as usize));
        } else {
            order.sort_by_key(|&n| Reverse(values.row(n as usize)));
        }
        out.extend(order.into_iter().map(Some));
        Some(())
    })
}

fn zip_type(given: &[DataType]) -> Result<DataType> {
    let fields = given.iter().enumerate().map(|(i, t)| Ok(Field::new(i.to_string(), item(t)?, true)));
    Ok(list_of(DataType::Struct(Fields::from(fields.collect::<Result<Vec<_>>>()?))))
}

fn arrays_zip(args: &[ArrayRef], t: &DataType) -> Result<ArrayRef> {
    let (lists, DataType::Struct(fields)) = (args.iter().map(AsArray::as_list::<i32>).collect::<Vec<_>>(), item(t)?)
    else {
        return exec_err!("not structs: {t}");
    };
    let mut picked: Vec<Vec<Option<u32>>> = vec![Vec::new(); lists.len()];
    let rows = args.first().map_or(1, Array::len);
    let mut out = Lists::with_capacity(rows);
    let mut total = 0;
    for i in 0..rows {
        let spans: Option<Vec<_>> = lists.iter().map(|l| span(l, i)).collect();
        let valid = spans.is_some();
        let spans = spans.unwrap_or_default();
        let longest = spans.iter().map(ExactSizeIterator::len).max().unwrap_or(0);
        for (picked, at) in picked.iter_mut().zip(&spans) {
            picked.extend((0..longest as u32).map(|n| Some(at.start + n).filter(|n| at.contains(n))));
        }
        total += longest;
        out.push(total, valid);
    }
    let columns = lists.iter().zip(picked).map(|(l, p)| Ok(take(l.values(), &UInt32Array::from(p), None)?));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    out.finish(Arc::new(StructArray::try_new_with_length(fields, columns, None, total)?))
}

/// The array with the value at an index that depends on its length.
fn added(args: &[ArrayRef], index: impl Fn(usize) -> Option<usize>) -> Result<ArrayRef> {
    let list = args[0].as_list::<i32>();
    let offset = list.values().len() as u32;
    let all = concat(&[list.values().as_ref(), args[1].as_ref()])?;
    picked_lists(&all, list.len(), |i, out| {
        let at = span(list, i)?;
        let place = out.len() + index(at.len())?;
        out.extend(at.map(Some));
        out.insert(place, Some(offset + i as u32));
        Some(())
    })
}

fn array_insert(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (list, positions) = (args[0].as_list::<i32>(), ints(&args[1]));
    let offset = list.values().len() as u32;
    let all = concat(&[list.values().as_ref(), args[2].as_ref()])?;
    picked_lists(&all, list.len(), |i, out| {
        let (at, position) = (span(list, i)?, positions.at(i).filter(|&p| p != 0)?);
        let (base, len) = (out.len(), at.len() as i64);
        let x = Some(offset + i as u32);
        if position > 0 {
            out.extend(at.map(Some));
            let place = i64::from(position) - 1;
            out.extend((len..place).map(|_| None));
            out.insert(base + place as usize, x);
        } else {
            // -1 is behind the last element.
            let place = len + i64::from(position) + 1;
            if place < 0 {
                out.push(x);
                out.extend((place..0).map(|_| None));
                out.extend(at.map(Some));
            } else {
                out.extend(at.map(Some));
                out.insert(base + place as usize, x);
            }
        }
        Some(())
    })
}

/// Number of elements by row; none of null.
fn sizes(column: &ArrayRef) -> impl Fn(usize) -> Option<i32> + '_ {
    let offsets: &[i32] = match column.data_type() {
        DataType::Map(..) => column.as_map().value_offsets(),
        DataType::List(_) => column.as_list::<i32>().value_offsets(),
        _ => &[],
    };
    move |i| (column.is_valid(i) && !offsets.is_empty()).then(|| offsets[i + 1] - offsets[i])
}

fn sequence_args(given: &[DataType]) -> Result<Vec<DataType>> {
    if !(2..=3).contains(&given.len()) {
        return plan_err!("sequence() takes 2 or 3 arguments, not {}", given.len());
    }
    let mut ends = common(&given[..2])?;
    if types::is_text(&ends) {
        ends = types::timestamp();
    }
    let mut wanted = vec![ends.clone(), ends.clone()];
    if given.len() == 3 {
        wanted.push(if ends.is_temporal() {
            DataType::Interval(arrow::datatypes::IntervalUnit::MonthDayNano)
        } else {
            ends
        });
    }
    Ok(wanted)
}

fn sequence(args: &[ArrayRef], t: &DataType) -> Result<ArrayRef> {
    let (of, rows) = (item(t)?, args[0].len());
    if of.is_integer() {
        let wide = args.iter().map(|a| crate::cast::cast_column(a, &DataType::Int64)).collect::<Result<Vec<_>>>()?;
        let at = |a: usize, i: usize| crate::columns::longs(&wide[a]).at(i);
        return counted(rows, &of, |i| {
            let (start, stop) = (at(0, i)?, at(1, i)?);
            let step = match wide.len() {
                2 if stop < start => -1,
                2 => 1,
                _ => at(2, i)?,
            };
            Some((start, stop, Box::new(move |n: i64| start.checked_add(step.checked_mul(n)?))))
        });
    }
    let micros =
        args[..2].iter().map(|a| crate::cast::cast_column(a, &types::timestamp())).collect::<Result<Vec<_>>>()?;
    let at = |a: usize, i: usize| crate::columns::times(&micros[a]).at(i);
    let steps = args.get(2).map(AsArray::as_primitive::<arrow::datatypes::IntervalMonthDayNanoType>);
    let dates = of == DataType::Date32;
    let result = counted(rows, &types::timestamp(), |i| {
        let (start, stop) = (at(0, i)?, at(1, i)?);
        let (months, days, nanos) = match steps {
            Some(steps) => steps.at(i).map(|s| (s.months, s.days, s.nanoseconds))?,
            None => (0, if stop < start { -1 } else { 1 }, 0),
        };
        Some((
            start,
            stop,
            Box::new(move |n: i64| {
                let moved = crate::dates::shift_months(start, i64::from(months).checked_mul(n)?)?;
                let micros = i64::from(days).checked_mul(86_400_000_000)?.checked_add(nanos / 1000)?;
                moved.checked_add(micros.checked_mul(n)?)
            }),
        ))
    })?;
    let list = result.as_list::<i32>();
    let values = if dates { crate::cast::cast_column(list.values(), &of)? } else { Arc::clone(list.values()) };
    let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
    Ok(Arc::new(ListArray::try_new(field, list.offsets().clone(), values, list.nulls().cloned())?))
}

type Steps = (i64, i64, Box<dyn Fn(i64) -> Option<i64>>);

/// Lists of what the function gives for 0, 1, 2 ... while it has not passed the stop.
fn counted(rows: usize, of: &DataType, at: impl Fn(usize) -> Option<Steps>) -> Result<ArrayRef> {
    let mut values: Vec<i64> = Vec::new();
    let mut lists = Lists::with_capacity(rows);
    for i in 0..rows {
        let steps = at(i);
        if let Some((start, stop, nth)) = &steps {
            let ahead = nth(1).map_or(0, |next| (next - start).signum());
            if ahead == 0 && start != stop || ahead != 0 && (stop - start).signum() == -ahead {
                return exec_err!("sequence() from {start} to {stop} needs a step in that direction");
            }
            values.extend(
                (0..)
                    .map_while(|n| nth(n).filter(|v| (v - stop).signum() != ahead.max(-1) || v == stop))
                    .take(if ahead == 0 { 1 } else { MOST_ELEMENTS + 1 }),
            );
            elements_fit("sequence", std::iter::once(Some(values.len())))?;
        }
        lists.push(values.len(), steps.is_some());
    }
    let values: ArrayRef = match of {
        DataType::Timestamp(..) => numbers::<TimestampMicrosecondType>(values.len(), of, |i| Some(values[i]))?,
        DataType::Date32 => numbers::<Date32Type>(values.len(), of, |i| Some(values[i] as i32))?,
        _ => {
            let longs = numbers::<Int64Type>(values.len(), &DataType::Int64, |i| Some(values[i]))?;
            crate::cast::cast_column(&longs, of)?
        }
    };
    lists.finish(values)
}
