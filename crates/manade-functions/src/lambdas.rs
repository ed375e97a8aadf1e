//! Functions of arrays and maps that take lambdas, such as `transform(array, x -> x + 1)`. A lambda's body is evaluated
//! once, over the elements of all rows.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Int32Array, ListArray, MapArray, UInt32Array};
use arrow::compute::{concat, take, take_arrays};
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, plan_err};
use datafusion::logical_expr::{
    ColumnarValue, HigherOrderFunctionArgs, HigherOrderReturnFieldArgs, HigherOrderSignature, HigherOrderUDF,
    HigherOrderUDFImpl, LambdaArgument, LambdaParametersProgress, ValueOrLambda, Volatility,
};

use crate::collections::pair;
use crate::columns::{At, Lists, booleans, longs, picked_lists, span};
use crate::maps::{map_column, merged};
use crate::types::{entry, item, list_of, map_of};

/// A function with a lambda as docs/sql.md shows it.
pub(crate) struct Lambda {
    pub name: &'static str,
    pub aliases: &'static [&'static str],
    kind: Kind,
    pub signature: &'static str,
    pub line: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    Transform,
    Filter,
    Exists,
    ForAll,
    ZipWith,
    TransformKeys,
    TransformValues,
    MapFilter,
    MapZipWith,
    ArraySort,
    Aggregate,
}

macro_rules! lambda {
    ($name:literal, [$($alias:literal),*], $kind:ident, $signature:literal, $line:literal) => {
        Lambda { name: $name, aliases: &[$($alias),*], kind: Kind::$kind, signature: $signature, line: $line }
    };
}

pub(crate) static LAMBDAS: &[Lambda] = &[
    lambda!(
        "transform",
        [],
        Transform,
        "transform(array, x -> ...) or (x, i) -> ...",
        "Each element changed; i counts from 0."
    ),
    lambda!(
        "filter",
        [],
        Filter,
        "filter(array, x -> ...) or (x, i) -> ...",
        "The elements for which a condition is true."
    ),
    lambda!(
        "exists",
        [],
        Exists,
        "exists(array, x -> ...)",
        "Whether a condition is true for an element; null if it is null for one and true for none."
    ),
    lambda!(
        "forall",
        [],
        ForAll,
        "forall(array, x -> ...)",
        "Whether a condition is true for all elements; null if it is null for one and false for none."
    ),
    lambda!(
        "zip_with",
        [],
        ZipWith,
        "zip_with(a, b, (x, y) -> ...)",
        "Two arrays made one, element by element; the shorter is filled up with nulls."
    ),
    lambda!(
        "transform_keys",
        [],
        TransformKeys,
        "transform_keys(map, (k, v) -> ...)",
        "The map with its keys changed; of equal keys the last holds."
    ),
    lambda!(
        "transform_values",
        [],
        TransformValues,
        "transform_values(map, (k, v) -> ...)",
        "The map with its values changed."
    ),
    lambda!(
        "map_filter",
        [],
        MapFilter,
        "map_filter(map, (k, v) -> ...)",
        "The entries for which a condition is true."
    ),
    lambda!(
        "map_zip_with",
        [],
        MapZipWith,
        "map_zip_with(a, b, (k, x, y) -> ...)",
        "Two maps made one, key by key; the value of a key that only one has is null for the other."
    ),
    lambda!(
        "array_sort",
        [],
        ArraySort,
        "array_sort(array, (a, b) -> ...)",
        "In the order of a comparison: a negative number if a comes first, a positive one if b does. Null counts as 0, \
         where Spark stops."
    ),
    lambda!(
        "aggregate",
        ["reduce"],
        Aggregate,
        "aggregate(array, start, (sum, x) -> ...[, sum -> ...])",
        "Elements gathered one after the other, from a start of the same type."
    ),
];

impl Lambda {
    pub(crate) fn udf(&self) -> HigherOrderUDF {
        let (value, lambda) = (ValueOrLambda::Value(()), ValueOrLambda::Lambda(()));
        let shapes = match self.kind {
            Kind::ZipWith | Kind::MapZipWith => vec![value.clone(), value, lambda],
            Kind::Aggregate => Vec::new(),
            _ => vec![value, lambda],
        };
        let signature = if shapes.is_empty() {
            HigherOrderSignature::variadic_any(Volatility::Immutable)
        } else {
            HigherOrderSignature::exact(shapes, Volatility::Immutable)
        };
        HigherOrderUDF::new_from_impl(Higher {
            name: self.name,
            aliases: self.aliases.iter().map(|&a| a.to_owned()).collect(),
            kind: self.kind,
            signature,
        })
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Higher {
    name: &'static str,
    aliases: Vec<String>,
    kind: Kind,
    signature: HigherOrderSignature,
}

fn field(data_type: DataType) -> FieldRef {
    Arc::new(Field::new("", data_type, true))
}

impl Higher {
    fn value<'a, V, L>(&self, args: &'a [ValueOrLambda<V, L>], index: usize) -> Result<&'a V> {
        if let Some(ValueOrLambda::Value(value)) = args.get(index) {
            return Ok(value);
        }
        plan_err!("argument {} of {}() is a value, not a lambda", index + 1, self.name)
    }

    fn lambda<'a, V, L>(&self, args: &'a [ValueOrLambda<V, L>], index: usize) -> Result<&'a L> {
        if let Some(ValueOrLambda::Lambda(lambda)) = args.get(index) {
            return Ok(lambda);
        }
        plan_err!("argument {} of {}() is a lambda, such as x -> x + 1", index + 1, self.name)
    }
}

impl HigherOrderUDFImpl for Higher {
    fn name(&self) -> &str {
        self.name
    }

    fn aliases(&self) -> &[String] {
        &self.aliases
    }

    fn signature(&self) -> &HigherOrderSignature {
        &self.signature
    }

    fn coerce_value_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        Ok(given.to_vec())
    }

    fn lambda_parameters(
        &self,
        _: usize,
        fields: &[ValueOrLambda<FieldRef, Option<FieldRef>>],
    ) -> Result<LambdaParametersProgress> {
        let first = self.value(fields, 0)?.data_type();
        let of = |t: &DataType| item(t).map(field);
        Ok(LambdaParametersProgress::Complete(match self.kind {
            Kind::Transform | Kind::Filter => vec![vec![of(first)?, field(DataType::Int32)]],
            Kind::Exists | Kind::ForAll => vec![vec![of(first)?]],
            Kind::ZipWith => vec![vec![of(first)?, of(self.value(fields, 1)?.data_type())?]],
            Kind::TransformKeys | Kind::TransformValues | Kind::MapFilter => {
                let (key, value) = entry(first)?;
                vec![vec![field(key), field(value)]]
            }
            Kind::ArraySort => vec![vec![of(first)?, of(first)?]],
            Kind::MapZipWith => {
                let ((key, x), (other, y)) = (entry(first)?, entry(self.value(fields, 1)?.data_type())?);
                if key != other {
                    return plan_err!("{}() takes maps of one type of key, not {key} and {other}", self.name);
                }
                vec![vec![field(key), field(x), field(y)]]
            }
            Kind::Aggregate => {
                let start = field(self.value(fields, 1)?.data_type().clone());
                let mut all = vec![vec![Arc::clone(&start), of(first)?]];
                if fields.len() > 3 {
                    all.push(vec![start]);
                }
                all
            }
        }))
    }

    fn return_field_from_args(&self, args: HigherOrderReturnFieldArgs<'_>) -> Result<FieldRef> {
        let first = self.value(args.arg_fields, 0)?.data_type();
        let body = |index: usize| self.lambda(args.arg_fields, index).map(|field| field.data_type().clone());
        Ok(field(match self.kind {
            Kind::Transform => list_of(body(1)?),
            Kind::Filter | Kind::ArraySort => list_of(item(first)?),
            Kind::MapZipWith => map_of(entry(first)?.0, body(2)?),
            Kind::MapFilter => first.clone(),
            Kind::Exists | Kind::ForAll => DataType::Boolean,
            Kind::ZipWith => list_of(body(2)?),
            Kind::TransformKeys => map_of(body(1)?, entry(first)?.1),
            Kind::TransformValues => map_of(entry(first)?.0, body(1)?),
            Kind::Aggregate if args.arg_fields.len() > 3 => body(3)?,
            Kind::Aggregate => self.value(args.arg_fields, 1)?.data_type().clone(),
        }))
    }

    fn clear_null_values(&self) -> bool {
        false
    }

    fn invoke_with_args(&self, args: HigherOrderFunctionArgs) -> Result<ColumnarValue> {
        let first = self.value(&args.args, 0)?.to_array(args.number_rows)?;
        Ok(ColumnarValue::Array(match self.kind {
            Kind::Transform | Kind::Filter | Kind::Exists | Kind::ForAll => {
                of_list(self.kind, first.as_list(), self.lambda(&args.args, 1)?)?
            }
            Kind::ZipWith => {
                let second = self.value(&args.args, 1)?.to_array(args.number_rows)?;
                zip_with(first.as_list(), second.as_list(), self.lambda(&args.args, 2)?)?
            }
            Kind::ArraySort => sorted_by(first.as_list(), self.lambda(&args.args, 1)?)?,
            Kind::MapZipWith => {
                let second = self.value(&args.args, 1)?.to_array(args.number_rows)?;
                map_zip_with(first.as_map(), second.as_map(), self.lambda(&args.args, 2)?)?
            }
            Kind::TransformKeys | Kind::TransformValues | Kind::MapFilter => {
                of_map(self.kind, &first, self.lambda(&args.args, 1)?)?
            }
            Kind::Aggregate => {
                let start = self.value(&args.args, 1)?.to_array(args.number_rows)?;
                let sum = aggregate(first.as_list(), start, self.lambda(&args.args, 2)?)?;
                if args.args.len() > 3 {
                    let finish = self.lambda(&args.args, 3)?;
                    let rows: Vec<u32> = (0..sum.len() as u32).collect();
                    evaluate(finish, &[Arc::clone(&sum)], &rows)?
                } else {
                    sum
                }
            }
        }))
    }
}

/// The lambda over columns of parameters; `rows` says which row each of their values is of.
fn evaluate(lambda: &LambdaArgument, params: &[ArrayRef], rows: &[u32]) -> Result<ArrayRef> {
    let given: Vec<Box<dyn Fn() -> Result<ArrayRef>>> = params
        .iter()
        .map(|p| {
            let p = Arc::clone(p);
            Box::new(move || Ok(Arc::clone(&p))) as Box<dyn Fn() -> Result<ArrayRef>>
        })
        .collect();
    let given: Vec<&dyn Fn() -> Result<ArrayRef>> = given.iter().map(AsRef::as_ref).collect();
    let rows_of = UInt32Array::from(rows.to_vec());
    lambda.evaluate(&given, |captured| Ok(take_arrays(captured, &rows_of, None)?))?.into_array(rows.len())
}

/// The elements of all rows: where they stand in the values, their rows, their indexes.
fn elements(rows: usize, at: impl Fn(usize) -> Option<std::ops::Range<u32>>) -> (UInt32Array, Vec<u32>, Int32Array) {
    let (mut places, mut of, mut indexes) = (Vec::new(), Vec::new(), Vec::new());
    for row in 0..rows {
        for (index, place) in at(row).into_iter().flatten().enumerate() {
            places.push(place);
            of.push(row as u32);
            indexes.push(index as i32);
        }
    }
    (places.into(), of, indexes.into())
}

fn of_list(kind: Kind, list: &ListArray, lambda: &LambdaArgument) -> Result<ArrayRef> {
    let (places, rows, indexes) = elements(list.len(), |row| span(list, row));
    let values = take(list.values(), &places, None)?;
    let result = evaluate(lambda, &[values, Arc::new(indexes)], &rows)?;
    let mut next = 0;
    let mut results = |row: usize| {
        let len = span(list, row)?.len() as u32;
        next += len;
        Some(next - len..next)
    };
    let truth = |n: u32| truth_at(&result, n);
    match kind {
        Kind::Transform => picked_lists(&result, list.len(), |row, out| {
            out.extend(results(row)?.map(Some));
            Some(())
        }),
        Kind::Filter => picked_lists(list.values(), list.len(), |row, out| {
            let kept = results(row)?.zip(span(list, row)?).filter(|&(n, _)| truth(n) == Some(true));
            out.extend(kept.map(|(_, place)| Some(place)));
            Some(())
        }),
        _ => booleans(list.len(), |row| {
            // Exists looks for true, forall for false; a null among the others leaves it open.
            let wanted = kind == Kind::Exists;
            let mut answers = results(row)?.map(truth);
            let mut open = false;
            let found = answers.any(|a| {
                open |= a.is_none();
                a == Some(wanted)
            });
            if found { Some(wanted) } else { (!open).then_some(!wanted) }
        }),
    }
}

fn truth_at(result: &ArrayRef, n: u32) -> Option<bool> {
    let result: &BooleanArray = result.as_boolean_opt()?;
    result.is_valid(n as usize).then(|| result.value(n as usize))
}

fn zip_with(a: &ListArray, b: &ListArray, lambda: &LambdaArgument) -> Result<ArrayRef> {
    let (mut left, mut right, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    let mut ends = Vec::with_capacity(a.len());
    for row in 0..a.len() {
        if let (Some(x), Some(y)) = (span(a, row), span(b, row)) {
            for n in 0..x.len().max(y.len()) as u32 {
                left.push(Some(x.start + n).filter(|n| x.contains(n)));
                right.push(Some(y.start + n).filter(|n| y.contains(n)));
                rows.push(row as u32);
            }
        }
        ends.push(rows.len() as u32);
    }
    let left = take(a.values(), &UInt32Array::from(left), None)?;
    let right = take(b.values(), &UInt32Array::from(right), None)?;
    let result = evaluate(lambda, &[left, right], &rows)?;
    picked_lists(&result, a.len(), |row, out| {
        (a.is_valid(row) && b.is_valid(row)).then_some(())?;
        out.extend((if row == 0 { 0 } else { ends[row - 1] }..ends[row]).map(Some));
        Some(())
    })
}

fn of_map(kind: Kind, column: &ArrayRef, lambda: &LambdaArgument) -> Result<ArrayRef> {
    let map = column.as_map();
    let offsets = map.value_offsets();
    let at = |row: usize| map.is_valid(row).then(|| offsets[row] as u32..offsets[row + 1] as u32);
    let (places, rows, _) = elements(map.len(), at);
    let (keys, values) = (take(map.keys(), &places, None)?, take(map.values(), &places, None)?);
    let result = evaluate(lambda, &[Arc::clone(&keys), Arc::clone(&values)], &rows)?;
    let starts: Vec<u32> = (0..=map.len()).map(|row| rows.partition_point(|&r| (r as usize) < row) as u32).collect();
    let entries = |row: usize| {
        map.is_valid(row).then(|| {
            let all = starts[row]..starts[row + 1];
            let kept = all.filter(|&n| kind != Kind::MapFilter || truth_at(&result, n) == Some(true));
            kept.map(|n| (n, n)).collect::<Vec<_>>()
        })
    };
    let part = match kind {
        Kind::TransformKeys => (&result, &values),
        Kind::TransformValues => (&keys, &result),
        _ => (&keys, &values),
    };
    merged(map.len(), &[part], |row, _| entries(row))
}

fn map_zip_with(a: &MapArray, b: &MapArray, lambda: &LambdaArgument) -> Result<ArrayRef> {
    let keys = concat(&[a.keys().as_ref(), b.keys().as_ref()])?;
    let (in_a, in_b) = pair(a.keys(), b.keys())?;
    let entries = |map: &MapArray, row: usize| map.value_offsets()[row] as usize..map.value_offsets()[row + 1] as usize;
    let (mut picked, mut left, mut right, mut rows) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut lists = Lists::with_capacity(a.len());
    for row in 0..a.len() {
        let valid = a.is_valid(row) && b.is_valid(row);
        if valid {
            let (x, y) = (entries(a, row), entries(b, row));
            for i in x.clone() {
                picked.push(i as u32);
                left.push(Some(i as u32));
                right.push(y.clone().find(|&j| in_a.row(i) == in_b.row(j)).map(|j| j as u32));
            }
            for j in y.filter(|&j| !x.clone().any(|i| in_a.row(i) == in_b.row(j))) {
                picked.push((a.keys().len() + j) as u32);
                left.push(None);
                right.push(Some(j as u32));
            }
            rows.resize(picked.len(), row as u32);
        }
        lists.push(picked.len(), valid);
    }
    let keys = take(&keys, &UInt32Array::from(picked), None)?;
    let x = take(a.values(), &UInt32Array::from(left), None)?;
    let y = take(b.values(), &UInt32Array::from(right), None)?;
    let values = evaluate(lambda, &[Arc::clone(&keys), x, y], &rows)?;
    map_column(lists, keys, values)
}

/// Two runs of places that become one.
struct Merge {
    row: usize,
    left: VecDeque<u32>,
    right: VecDeque<u32>,
    merged: Vec<u32>,
}

/// A merge sort of all rows together: each step compares the first elements of all pairs of runs at once.
fn sorted_by(list: &ListArray, lambda: &LambdaArgument) -> Result<ArrayRef> {
    let mut order: Vec<Option<Vec<u32>>> = (0..list.len()).map(|row| Some(span(list, row)?.collect())).collect();
    let longest = order.iter().flatten().map(Vec::len).max().unwrap_or(0);
    let mut width = 1;
    while width < longest {
        let mut merges: Vec<Merge> = Vec::new();
        for (row, places) in order.iter_mut().enumerate() {
            let Some(places) = places else { continue };
            merges.extend(places.chunks(2 * width).map(|run| {
                let (left, right) = run.split_at(width.min(run.len()));
                let (left, right) = (left.iter().copied().collect(), right.iter().copied().collect());
                Merge { row, left, right, merged: Vec::with_capacity(run.len()) }
            }));
            places.clear();
        }
        merge(&mut merges, list, lambda)?;
        for Merge { row, left, right, merged } in merges {
            order[row].get_or_insert_default().extend(merged.into_iter().chain(left).chain(right));
        }
        width *= 2;
    }
    picked_lists(list.values(), list.len(), |row, out| {
        out.extend(order[row].as_ref()?.iter().copied().map(Some));
        Some(())
    })
}

/// Until each has a run that is used up.
fn merge(merges: &mut [Merge], list: &ListArray, lambda: &LambdaArgument) -> Result<()> {
    loop {
        let (mut active, mut a, mut b) = (Vec::new(), Vec::new(), Vec::new());
        for (i, merge) in merges.iter().enumerate() {
            if let (Some(&left), Some(&right)) = (merge.left.front(), merge.right.front()) {
                active.push(i);
                a.push(left);
                b.push(right);
            }
        }
        if active.is_empty() {
            return Ok(());
        }
        let rows: Vec<u32> = active.iter().map(|&i| merges[i].row as u32).collect();
        let a = take(list.values(), &UInt32Array::from(a), None)?;
        let b = take(list.values(), &UInt32Array::from(b), None)?;
        let compared = crate::cast::cast_column(&evaluate(lambda, &[a, b], &rows)?, &DataType::Int64)?;
        let compared = longs(&compared);
        for (n, i) in active.into_iter().enumerate() {
            let merge = &mut merges[i];
            let right_first = compared.at(n).is_some_and(|c| c > 0);
            let next = if right_first { merge.right.pop_front() } else { merge.left.pop_front() };
            merge.merged.extend(next);
        }
    }
}

/// Step by step: the n-th elements of all rows that have one, together.
fn aggregate(list: &ListArray, start: ArrayRef, lambda: &LambdaArgument) -> Result<ArrayRef> {
    let longest = (0..list.len()).filter_map(|row| span(list, row)).map(|s| s.len()).max().unwrap_or(0) as u32;
    let mut sums = start;
    for n in 0..longest {
        let active: Vec<u32> = (0..list.len() as u32)
            .filter(|&row| span(list, row as usize).is_some_and(|s| n < s.len() as u32))
            .collect();
        let places = active.iter().map(|&row| list.value_offsets()[row as usize] as u32 + n);
        let elements = take(list.values(), &UInt32Array::from_iter_values(places), None)?;
        let held = take(&sums, &UInt32Array::from(active.clone()), None)?;
        let next = evaluate(lambda, &[held, elements], &active)?;
        let next = crate::cast::cast_column(&next, sums.data_type())?;
        let mut pick: Vec<u32> = (0..list.len() as u32).collect();
        active.iter().enumerate().for_each(|(i, &row)| pick[row as usize] = (list.len() + i) as u32);
        sums = take(&concat(&[sums.as_ref(), next.as_ref()])?, &UInt32Array::from(pick), None)?;
    }
    let valid: UInt32Array = (0..list.len()).map(|row| list.is_valid(row).then_some(row as u32)).collect();
    Ok(take(&sums, &valid, None)?)
}
