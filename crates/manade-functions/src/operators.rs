//! What Spark's operators do to types: every rule here makes an expression whose operands have one type already.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Float64Type, Int64Type, i256};
use datafusion::common::{ExprSchema, Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::expr::{Between, Case, InList, ScalarFunction};
use datafusion::logical_expr::{BinaryExpr, Cast, Expr, ExprSchemable, Operator};

use crate::cast::{cast, plain};
use crate::columns::{At, comparable, numbers};
use crate::function::{Arg, Function, Returns};
use crate::types::{as_decimal, bounded_decimal, is_float, is_text, widest};

/// A value as Spark groups by it: 0.0 for -0.0 and one NaN, in arrays and structs too.
pub fn normalized(expr: Expr, data_type: &DataType) -> Expr {
    fn has_float(t: &DataType) -> bool {
        match t {
            DataType::List(item) => has_float(item.data_type()),
            DataType::Struct(fields) => fields.iter().any(|field| has_float(field.data_type())),
            other => other.is_floating(),
        }
    }
    if !has_float(data_type) {
        return expr;
    }
    let function = Function::new("normalized", &[Arg::Any], Returns::Like(0), |args, _| comparable(&args[0]));
    function.udf().call(vec![expr])
}

/// `expr`, whose operands are right already, with the types that Spark gives its operands and its result. Touches
/// arithmetic, comparisons, CASE, IN and BETWEEN; everything else comes back as it is.
pub fn coerce(expr: Expr, schema: &dyn ExprSchema) -> Result<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let types = (left.get_type(schema)?, right.get_type(schema)?);
            binary(*left, &types.0, op, *right, &types.1)
        }
        Expr::Negative(inner) => Ok(negated(inner)),
        Expr::Case(case) => coerce_case(case, schema),
        Expr::InList(list) => coerce_in(list, schema),
        Expr::Between(between) => coerce_between(between, schema),
        other => Ok(other),
    }
}

/// A negative literal is one, so that functions can see it as a constant.
fn negated(inner: Box<Expr>) -> Expr {
    if let Expr::Literal(value, _) = inner.as_ref()
        && !matches!(value, ScalarValue::Int64(Some(i64::MIN)) | ScalarValue::Int32(Some(i32::MIN)))
        && let Ok(negative) = value.arithmetic_negate()
    {
        return Expr::Literal(negative, None);
    }
    Expr::Negative(inner)
}

/// `left op right`.
pub fn binary(left: Expr, l: &DataType, op: Operator, right: Expr, r: &DataType) -> Result<Expr> {
    use Operator::{
        Divide, Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, Minus, Modulo, Multiply, NotEq, Plus,
    };
    match op {
        Plus | Minus | Multiply | Divide | Modulo => arithmetic(left, l, op, right, r),
        Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom => {
            Ok(comparison(left, l, op, right, r))
        }
        _ => Ok(raw(left, op, right)),
    }
}

fn raw(left: Expr, op: Operator, right: Expr) -> Expr {
    Expr::BinaryExpr(BinaryExpr::new(Box::new(left), op, Box::new(right)))
}

fn to(expr: Expr, from: &DataType, to: &DataType) -> Expr {
    if from == to {
        expr
    } else if plain(from, to) {
        Expr::Cast(Cast::new(Box::new(expr), to.clone()))
    } else {
        cast(expr, to.clone())
    }
}

fn call(function: &Function, args: Vec<Expr>) -> Expr {
    Expr::ScalarFunction(ScalarFunction::new_udf(std::sync::Arc::new(function.clone().udf()), args))
}

fn arithmetic(left: Expr, l: &DataType, op: Operator, right: Expr, r: &DataType) -> Result<Expr> {
    let number = |t: &DataType| t.is_numeric() || is_text(t) || *t == DataType::Null;
    if !number(l) || !number(r) {
        return Ok(match (l, op, r) {
            (DataType::Date32, Operator::Plus, r) if r.is_integer() => call(&DATE_ADD, vec![left, right]),
            (l, Operator::Plus, DataType::Date32) if l.is_integer() => call(&DATE_ADD, vec![right, left]),
            (DataType::Date32, Operator::Minus, r) if r.is_integer() => call(&DATE_SUB, vec![left, right]),
            _ => raw(left, op, right),
        });
    }
    if is_text(l) || is_text(r) {
        let (left, right) = (to(left, l, &DataType::Float64), to(right, r, &DataType::Float64));
        return arithmetic(left, &DataType::Float64, op, right, &DataType::Float64);
    }
    let decimal = |t: &DataType| matches!(t, DataType::Decimal128(..));
    if (decimal(l) || decimal(r)) && !is_float(l) && !is_float(r) {
        return decimal_arithmetic(left, l, op, right, r);
    }
    match op {
        Operator::Divide => Ok(call(&DIVIDE, vec![to(left, l, &DataType::Float64), to(right, r, &DataType::Float64)])),
        Operator::Modulo => Ok(call(&crate::numbers::MOD, vec![left, right])),
        _ => {
            let Some(common) = widest(l, r) else { return plan_err!("{l} and {r} cannot be computed with") };
            let common = if common == DataType::Null { DataType::Float64 } else { common };
            Ok(raw(to(left, l, &common), op, to(right, r, &common)))
        }
    }
}

fn decimal_arithmetic(left: Expr, l: &DataType, op: Operator, right: Expr, r: &DataType) -> Result<Expr> {
    let (l, r) = (decimal_of(&left, l), decimal_of(&right, r));
    let function = match op {
        Operator::Plus => &DECIMAL_ADD,
        Operator::Minus => &DECIMAL_SUBTRACT,
        Operator::Multiply => &DECIMAL_MULTIPLY,
        Operator::Divide => &DECIMAL_DIVIDE,
        Operator::Modulo => &DECIMAL_REMAINDER,
        other => return plan_err!("no decimal operator {other}"),
    };
    Ok(call(function, vec![cast(left, l), cast(right, r)]))
}

/// The decimal type of an operand: an integer literal only has the digits that it shows.
fn decimal_of(expr: &Expr, t: &DataType) -> DataType {
    if let Expr::Literal(value, _) = expr
        && t.is_integer()
        && let Ok(ScalarValue::Int64(Some(value))) = value.cast_to(&DataType::Int64)
    {
        return DataType::Decimal128(value.unsigned_abs().max(1).ilog10() as u8 + 1, 0);
    }
    let (precision, scale) = as_decimal(t).unwrap_or((1, 0));
    DataType::Decimal128(precision, scale)
}

fn comparison(left: Expr, l: &DataType, op: Operator, right: Expr, r: &DataType) -> Expr {
    match compared(l, r) {
        Some(common) if common != DataType::Null => raw(to(left, l, &common), op, to(right, r, &common)),
        _ => raw(left, op, right),
    }
}

/// The type in which two are compared: text becomes what it is compared with.
fn compared(l: &DataType, r: &DataType) -> Option<DataType> {
    let with_text = |other: &DataType| match other {
        DataType::Decimal128(..) => DataType::Float64,
        other => other.clone(),
    };
    match (is_text(l), is_text(r)) {
        (true, true) => None,
        (true, false) if !r.is_nested() && *r != DataType::Null => Some(with_text(r)),
        (false, true) if !l.is_nested() && *l != DataType::Null => Some(with_text(l)),
        _ if l == r => None,
        _ => widest(l, r),
    }
}

fn coerce_case(mut case: Case, schema: &dyn ExprSchema) -> Result<Expr> {
    let mut common = DataType::Null;
    let results = case.when_then_expr.iter().map(|(_, then)| then).chain(case.else_expr.iter());
    for result in results {
        match widest(&common, &result.get_type(schema)?) {
            Some(wider) => common = wider,
            None => return Ok(Expr::Case(case)),
        }
    }
    let coerce = |result: Box<Expr>| -> Result<Box<Expr>> {
        let from = result.get_type(schema)?;
        Ok(Box::new(to(*result, &from, &common)))
    };
    case.when_then_expr =
        case.when_then_expr.into_iter().map(|(when, then)| Ok((when, coerce(then)?))).collect::<Result<_>>()?;
    case.else_expr = case.else_expr.map(coerce).transpose()?;
    Ok(Expr::Case(case))
}

fn coerce_in(list: InList, schema: &dyn ExprSchema) -> Result<Expr> {
    let mut common = list.expr.get_type(schema)?;
    let types = list.list.iter().map(|e| e.get_type(schema)).collect::<Result<Vec<_>>>()?;
    for t in &types {
        match widest(&common, t) {
            Some(wider) => common = wider,
            None => return Ok(Expr::InList(list)),
        }
    }
    let from = list.expr.get_type(schema)?;
    let expr = Box::new(to(*list.expr, &from, &common));
    let items = list.list.into_iter().zip(&types).map(|(e, t)| to(e, t, &common)).collect();
    Ok(Expr::InList(InList::new(expr, items, list.negated)))
}

fn coerce_between(between: Between, schema: &dyn ExprSchema) -> Result<Expr> {
    let Between { expr, negated, low, high } = between;
    let types = (expr.get_type(schema)?, low.get_type(schema)?, high.get_type(schema)?);
    let common = match (compared(&types.0, &types.1), compared(&types.0, &types.2)) {
        (None, None) => return Ok(Expr::Between(Between::new(expr, negated, low, high))),
        (Some(a), Some(b)) => widest(&a, &b),
        (Some(a), None) | (None, Some(a)) => Some(a),
    };
    let Some(common) = common else { return plan_err!("BETWEEN needs values of one type") };
    Ok(Expr::Between(Between::new(
        Box::new(to(*expr, &types.0, &common)),
        negated,
        Box::new(to(*low, &types.1, &common)),
        Box::new(to(*high, &types.2, &common)),
    )))
}

static DATE_ADD: Function =
    Function::new("date_add", &[Arg::Date, Arg::Int], Returns::Is(|| DataType::Date32), |args, t| {
        let (dates, days) = (crate::columns::dates(&args[0]), crate::columns::ints(&args[1]));
        numbers::<Date32Type>(dates.len(), t, |i| Some(dates.at(i)?.wrapping_add(days.at(i)?)))
    })
    .aliases(&["dateadd"])
    .doc("date_add(date, days)", "The date that many days later.");

static DATE_SUB: Function =
    Function::new("date_sub", &[Arg::Date, Arg::Int], Returns::Is(|| DataType::Date32), |args, t| {
        let (dates, days) = (crate::columns::dates(&args[0]), crate::columns::ints(&args[1]));
        numbers::<Date32Type>(dates.len(), t, |i| Some(dates.at(i)?.wrapping_sub(days.at(i)?)))
    })
    .doc("date_sub(date, days)", "The date that many days earlier.");

static DIVIDE: Function =
    Function::new("divide", &[Arg::Double, Arg::Double], Returns::Is(|| DataType::Float64), |args, t| {
        let (a, b) = (crate::columns::doubles(&args[0]), crate::columns::doubles(&args[1]));
        numbers::<Float64Type>(a.len(), t, |i| {
            let divisor = b.at(i).filter(|&b| b != 0.0)?;
            Some(a.at(i)? / divisor)
        })
    });

/// Integer division: towards zero, of longs or of decimals.
static DIV: Function = Function::by("div", div_args, Returns::Is(|| DataType::Int64), div)
    .doc("div(a, b)", "Whole part of a / b as bigint; null if b is 0. The function form of a DIV b.")
    .differs("doubles and texts are taken too");

fn div_args(given: &[DataType]) -> Result<Vec<DataType>> {
    let [l, r] = given else { return plan_err!("div() takes 2 arguments, not {}", given.len()) };
    if let Some(odd) = given.iter().find(|t| !(t.is_numeric() || is_text(t) || **t == DataType::Null)) {
        return plan_err!("div() needs numbers, not {}", crate::types::spark_name(odd));
    }
    let decimal = |t: &DataType| as_decimal(t).map(|(precision, scale)| DataType::Decimal128(precision, scale));
    Ok(match (decimal(l), decimal(r)) {
        _ if l.is_integer() && r.is_integer() => vec![DataType::Int64; 2],
        (Some(l), Some(r)) => vec![l, r],
        _ => vec![DataType::Float64; 2],
    })
}

fn div(args: &[ArrayRef], t: &DataType) -> Result<ArrayRef> {
    use arrow::array::AsArray;
    match (args[0].data_type(), args[1].data_type()) {
        (DataType::Int64, DataType::Int64) => {
            let (a, b) = (crate::columns::longs(&args[0]), crate::columns::longs(&args[1]));
            numbers::<Int64Type>(a.len(), t, |i| {
                let divisor = b.at(i).filter(|&b| b != 0)?;
                Some(a.at(i)?.wrapping_div(divisor))
            })
        }
        (DataType::Decimal128(_, s1), DataType::Decimal128(_, s2)) => {
            let (a, b) = (args[0].as_primitive::<Decimal128Type>(), args[1].as_primitive::<Decimal128Type>());
            let fine = i32::from(*s1.max(s2));
            let (level_a, level_b) = (power((fine - i32::from(*s1)) as u32), power((fine - i32::from(*s2)) as u32));
            numbers::<Int64Type>(a.len(), t, |i| {
                let divisor = i256::from_i128(b.at(i).filter(|&b| b != 0)?).checked_mul(level_b)?;
                let whole = i256::from_i128(a.at(i)?).checked_mul(level_a)?.checked_div(divisor)?;
                // What is too large wraps, as Java's longs do.
                Some(whole.to_parts().0 as i64)
            })
        }
        _ => {
            let (a, b) = (crate::columns::doubles(&args[0]), crate::columns::doubles(&args[1]));
            numbers::<Int64Type>(a.len(), t, |i| {
                let divisor = b.at(i).filter(|&b| b != 0.0)?;
                Some((a.at(i)? / divisor) as i64)
            })
        }
    }
}

pub(crate) static FUNCTIONS: &[&Function] = &[
    &DATE_ADD,
    &DATE_SUB,
    &DIVIDE,
    &DIV,
    &DECIMAL_ADD,
    &DECIMAL_SUBTRACT,
    &DECIMAL_MULTIPLY,
    &DECIMAL_DIVIDE,
    &DECIMAL_REMAINDER,
    &DECIMAL_MEAN,
];

macro_rules! decimal_function {
    ($name:ident, $text:literal, $op:expr) => {
        static $name: Function = Function::by(
            $text,
            |given| Ok(given.to_vec()),
            Returns::By(|given| decimal_result(given, $op)),
            |args, t| decimal_kernel(args, t, $op),
        );
    };
}

decimal_function!(DECIMAL_ADD, "decimal_add", Operator::Plus);
decimal_function!(DECIMAL_SUBTRACT, "decimal_subtract", Operator::Minus);
decimal_function!(DECIMAL_MULTIPLY, "decimal_multiply", Operator::Multiply);
decimal_function!(DECIMAL_DIVIDE, "decimal_divide", Operator::Divide);
decimal_function!(DECIMAL_REMAINDER, "decimal_remainder", Operator::Modulo);

/// A sum by a count, with four more places than the sum.
static DECIMAL_MEAN: Function = Function::by(
    "decimal_mean",
    |given| Ok(given.to_vec()),
    Returns::By(|given| {
        let [DataType::Decimal128(_, scale), DataType::Int64] = given else {
            return plan_err!("a mean needs a sum and a count");
        };
        Ok(DataType::Decimal128(38, (scale + 4).min(38)))
    }),
    |args, t| {
        use arrow::array::AsArray;
        let (DataType::Decimal128(_, from), DataType::Decimal128(_, to)) = (args[0].data_type(), t) else {
            return exec_err!("a mean of decimals needs their sum");
        };
        let (sums, counts) = (args[0].as_primitive::<Decimal128Type>(), crate::columns::longs(&args[1]));
        numbers::<Decimal128Type>(sums.len(), t, |i| {
            let count = counts.at(i).filter(|&count| count != 0)?;
            divide(i256::from_i128(sums.at(i)?), i256::from_i128(count.into()), i32::from(to - from))?.to_i128()
        })
    },
);

/// Spark's result types (`org.apache.spark.sql.catalyst.expressions.BinaryArithmetic.resultDecimalType`).
fn decimal_result(given: &[DataType], op: Operator) -> Result<DataType> {
    let [DataType::Decimal128(p1, s1), DataType::Decimal128(p2, s2)] = given else {
        return plan_err!("{op} of decimals needs two of them");
    };
    let (p1, s1, p2, s2) = (i32::from(*p1), i32::from(*s1), i32::from(*p2), i32::from(*s2));
    let whole = (p1 - s1).max(p2 - s2);
    Ok(match op {
        Operator::Multiply => bounded_decimal(p1 + p2 + 1, s1 + s2),
        Operator::Divide => {
            let scale = (s1 + p2 + 1).max(6);
            bounded_decimal(p1 - s1 + s2 + scale, scale)
        }
        Operator::Modulo => bounded_decimal((p1 - s1).min(p2 - s2) + s1.max(s2), s1.max(s2)),
        _ => bounded_decimal(whole + s1.max(s2) + 1, s1.max(s2)),
    })
}

fn decimal_kernel(args: &[ArrayRef], t: &DataType, op: Operator) -> Result<ArrayRef> {
    use arrow::array::AsArray;
    let (DataType::Decimal128(_, s1), DataType::Decimal128(_, s2), DataType::Decimal128(precision, scale)) =
        (args[0].data_type(), args[1].data_type(), t)
    else {
        return exec_err!("{op} of decimals needs two of them");
    };
    let (a, b) = (args[0].as_primitive::<Decimal128Type>(), args[1].as_primitive::<Decimal128Type>());
    let (s1, s2, scale) = (i32::from(*s1), i32::from(*s2), i32::from(*scale));
    let limit = power(u32::from(*precision));
    numbers::<Decimal128Type>(a.len(), t, |i| {
        let (a, b) = (i256::from_i128(a.at(i)?), i256::from_i128(b.at(i)?));
        let fine = s1.max(s2);
        let (level_a, level_b) = (power((fine - s1) as u32), power((fine - s2) as u32));
        let value = match op {
            Operator::Multiply => at_scale(a.checked_mul(b)?, s1 + s2, scale)?,
            Operator::Divide | Operator::Modulo if b == i256::ZERO => return None,
            Operator::Divide => divide(a, b, scale + s2 - s1)?,
            Operator::Modulo => at_scale(a.checked_mul(level_a)?.checked_rem(b.checked_mul(level_b)?)?, fine, scale)?,
            Operator::Minus => at_scale(a.checked_mul(level_a)?.checked_sub(b.checked_mul(level_b)?)?, fine, scale)?,
            _ => at_scale(a.checked_mul(level_a)?.checked_add(b.checked_mul(level_b)?)?, fine, scale)?,
        };
        (value < limit && value > limit.wrapping_neg()).then(|| value.to_i128())?
    })
}

/// `10^exponent`.
fn power(exponent: u32) -> i256 {
    i256::from_i128(10).wrapping_pow(exponent)
}

/// `value` of scale `from` at scale `to`, rounded half up.
fn at_scale(value: i256, from: i32, to: i32) -> Option<i256> {
    if to >= from { value.checked_mul(power((to - from) as u32)) } else { divide(value, power((from - to) as u32), 0) }
}

/// `a * 10^shift / b`, rounded half up.
fn divide(a: i256, b: i256, shift: i32) -> Option<i256> {
    let (a, b) =
        if shift >= 0 { (a.checked_mul(power(shift as u32))?, b) } else { (a, b.checked_mul(power((-shift) as u32))?) };
    let (whole, rest) = (a.checked_div(b)?, a.checked_rem(b)?);
    let absolute = |v: i256| if v < i256::ZERO { v.wrapping_neg() } else { v };
    let up = absolute(rest) >= absolute(b).wrapping_sub(absolute(rest));
    let away = if (a < i256::ZERO) == (b < i256::ZERO) { i256::ONE } else { i256::ONE.wrapping_neg() };
    Some(if up { whole.wrapping_add(away) } else { whole })
}
