//! Functions that choose, and functions about types.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute::kernels::cmp::not_distinct;
use arrow::compute::kernels::zip::zip;
use arrow::compute::{is_null, take};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};
use datafusion::common::{Result, exec_err, plan_err};

use crate::columns::{At, booleans, comparable, texts};
use crate::function::Arg::{Any, Bool, Text};
use crate::function::{Function, Returns, common, same};
use crate::types;

macro_rules! cast_function {
    ($name:literal, $t:expr) => {
        Function::new($name, &[Any], Returns::Is(|| $t), |args, t| crate::cast::cast_column(&args[0], t))
            .doc(concat!($name, "(x)"), concat!("CAST(x AS ", $name, ")."))
    };
}

const BOOLEAN: Returns = Returns::Is(|| DataType::Boolean);

pub(crate) static FUNCTIONS: &[Function] = &[
    cast_function!("boolean", DataType::Boolean),
    cast_function!("tinyint", DataType::Int8),
    cast_function!("smallint", DataType::Int16),
    cast_function!("int", DataType::Int32),
    cast_function!("bigint", DataType::Int64),
    cast_function!("float", DataType::Float32),
    cast_function!("double", DataType::Float64),
    cast_function!("decimal", DataType::Decimal128(10, 0)),
    cast_function!("string", DataType::Utf8View),
    cast_function!("binary", DataType::BinaryView),
    cast_function!("date", DataType::Date32),
    cast_function!("timestamp", types::timestamp()),
    Function::by("if", if_args, Returns::Like(1), |args, _| {
        let condition = truth(&args[0]);
        Ok(zip(&condition, &args[1], &args[2])?)
    })
    .doc("if(condition, a, b)", "a where the condition is true, else b."),
    Function::by("coalesce", some_same, Returns::Like(0), |args, _| coalesce(args))
        .aliases(&["nvl", "ifnull"])
        .doc("coalesce(a, b, ...)", "The first that is not null."),
    Function::by("nvl2", nvl2_args, Returns::Like(1), |args, _| {
        let missing = is_null(&args[0])?;
        Ok(zip(&missing, &args[2], &args[1])?)
    })
    .doc("nvl2(x, a, b)", "a where x is not null, else b."),
    Function::by("nullif", pair_same, Returns::Like(0), |args, _| {
        let equal = arrow::compute::kernels::cmp::eq(&args[0], &args[1])?;
        Ok(arrow::compute::nullif(&args[0], &equal)?)
    })
    .doc("nullif(a, b)", "null where a = b, else a."),
    Function::new("nullifzero", &[crate::function::Arg::Number], Returns::Like(0), |args, t| {
        let zero = crate::cast::cast_column(
            &(Arc::new(arrow::array::Int32Array::from(vec![0; args[0].len()])) as ArrayRef),
            t,
        )?;
        let equal = arrow::compute::kernels::cmp::eq(&comparable(&args[0])?, &zero)?;
        Ok(arrow::compute::nullif(&args[0], &equal)?)
    })
    .doc("nullifzero(x)", "null where x is 0, else x."),
    Function::new("zeroifnull", &[crate::function::Arg::Number], Returns::Like(0), |args, t| {
        let zero = crate::cast::cast_column(
            &(Arc::new(arrow::array::Int32Array::from(vec![0; args[0].len()])) as ArrayRef),
            t,
        )?;
        coalesce(&[Arc::clone(&args[0]), zero])
    })
    .doc("zeroifnull(x)", "0 where x is null, else x."),
    Function::by("greatest", some_same, Returns::Like(0), |args, _| extreme(args, true))
        .doc("greatest(a, b, ...)", "The greatest that is not null; NaN is the greatest double."),
    Function::by("least", some_same, Returns::Like(0), |args, _| extreme(args, false))
        .doc("least(a, b, ...)", "The least that is not null."),
    Function::new("isnull", &[Any], BOOLEAN, |args, _| Ok(Arc::new(is_null(&args[0])?)))
        .doc("isnull(x)", "Whether x is null, as x IS NULL."),
    Function::new("isnotnull", &[Any], BOOLEAN, |args, _| Ok(Arc::new(arrow::compute::is_not_null(&args[0])?)))
        .doc("isnotnull(x)", "Whether x is not null."),
    Function::by("equal_null", pair_same, BOOLEAN, |args, _| {
        if args[0].data_type() == &DataType::Null {
            return booleans(args[0].len(), |_| Some(true));
        }
        Ok(Arc::new(not_distinct(&args[0], &args[1])?))
    })
    .doc("equal_null(a, b)", "Whether a and b are equal or both null, as a <=> b."),
    Function::new("typeof", &[Any], Returns::Is(|| DataType::Utf8View), |args, _| {
        let name = types::spark_name(args[0].data_type());
        texts(args[0].len(), |_| Some(&name))
    })
    .doc("typeof(x)", "The type of x in Spark's words."),
    Function::new("assert_true", &[Bool, Text], Returns::Is(|| DataType::Null), |args, _| {
        let holds = truth(&args[0]);
        match (0..holds.len()).find(|&i| !holds.value(i)) {
            Some(row) => {
                let message = args.get(1).and_then(|m| crate::columns::strings(m).at(row));
                exec_err!("{}", message.unwrap_or("assert_true: the condition is not true"))
            }
            None => Ok(Arc::new(arrow::array::NullArray::new(holds.len()))),
        }
    })
    .optional(1)
    .doc("assert_true(condition[, message])", "null; the row fails if the condition is not true."),
];

/// The condition with false for null.
fn truth(column: &ArrayRef) -> arrow::array::BooleanArray {
    use arrow::array::AsArray;
    let condition = column.as_boolean();
    if condition.null_count() == 0 { condition.clone() } else { arrow::compute::prep_null_mask_filter(condition) }
}

fn if_args(given: &[DataType]) -> Result<Vec<DataType>> {
    let [_, a, b] = given else { return plan_err!("if() takes 3 arguments, not {}", given.len()) };
    let result = common(&[a.clone(), b.clone()])?;
    Ok(vec![DataType::Boolean, result.clone(), result])
}

fn nvl2_args(given: &[DataType]) -> Result<Vec<DataType>> {
    let [x, a, b] = given else { return plan_err!("nvl2() takes 3 arguments, not {}", given.len()) };
    let result = common(&[a.clone(), b.clone()])?;
    Ok(vec![x.clone(), result.clone(), result])
}

fn some_same(given: &[DataType]) -> Result<Vec<DataType>> {
    if given.is_empty() { plan_err!("at least one argument is needed") } else { same(given) }
}

/// Two of one type for comparing: text becomes what it is compared with; the first keeps its type otherwise.
fn pair_same(given: &[DataType]) -> Result<Vec<DataType>> {
    if given.len() == 2 { same(given) } else { plan_err!("two arguments are needed, not {}", given.len()) }
}

fn coalesce(args: &[ArrayRef]) -> Result<ArrayRef> {
    let (last, others) = args.split_last().expect("arguments are checked when planning");
    let mut result = Arc::clone(last);
    for column in others.iter().rev() {
        if column.null_count() == 0 && column.data_type() != &DataType::Null {
            result = Arc::clone(column);
        } else {
            result = zip(&is_null(column)?, &result, column)?;
        }
    }
    Ok(result)
}

fn extreme(args: &[ArrayRef], greatest: bool) -> Result<ArrayRef> {
    let converter = RowConverter::new(vec![SortField::new(args[0].data_type().clone())])?;
    let rows = args.iter().map(|a| Ok(converter.convert_columns(&[comparable(a)?])?)).collect::<Result<Vec<_>>>()?;
    let len = args[0].len();
    let pick = (0..len).map(|i| {
        let candidates = (0..args.len()).filter(|&a| args[a].is_valid(i));
        let wanted = if greatest { Ordering::Greater } else { Ordering::Less };
        let best = candidates.reduce(|best, a| if rows[a].row(i).cmp(&rows[best].row(i)) == wanted { a } else { best });
        best.map(|a| (a * len + i) as u32)
    });
    let all: Vec<&dyn Array> = args.iter().map(AsRef::as_ref).collect();
    Ok(take(&arrow::compute::concat(&all)?, &pick.collect::<UInt32Array>(), None)?)
}
