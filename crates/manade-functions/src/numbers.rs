//! Functions of numbers.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};

use crate::cast::{cast_column, put, rescale};
use crate::columns::{At, binaries, bytes, doubles, ints, longs, numbers, strings, written};
use crate::function::Arg::{Any, Double, Int, Long, Number, Text};
use crate::function::{Function, Returns, common};
use crate::types::{is_binary, is_float, is_text};

const DOUBLE: Returns = Returns::Is(|| DataType::Float64);
const LONG: Returns = Returns::Is(|| DataType::Int64);
const TEXT: Returns = Returns::Is(|| DataType::Utf8View);

macro_rules! of_double {
    ($name:literal, $line:literal, $f:expr) => {
        Function::new($name, &[Double], DOUBLE, |args, t| {
            let values = doubles(&args[0]);
            numbers::<Float64Type>(values.len(), t, |i| {
                let f: fn(f64) -> Option<f64> = $f;
                f(values.at(i)?)
            })
        })
        .doc(concat!($name, "(x)"), $line)
    };
}

pub(crate) static FUNCTIONS: &[Function] = &[
    of_double!("sqrt", "Square root; NaN of a negative number.", |x| Some(x.sqrt())),
    of_double!("cbrt", "Cube root.", |x| Some(x.cbrt())),
    of_double!("exp", "e to the power of x.", |x| Some(x.exp())),
    of_double!("expm1", "exp(x) - 1, exact near 0.", |x| Some(x.exp_m1())),
    of_double!("ln", "Natural logarithm; null unless x > 0.", |x| (x > 0.0 || x.is_nan()).then(|| x.ln())),
    of_double!("log10", "Logarithm to base 10; null unless x > 0.", |x| (x > 0.0 || x.is_nan()).then(|| x.log10())),
    of_double!("log2", "Logarithm to base 2; null unless x > 0.", |x| (x > 0.0 || x.is_nan()).then(|| x.log2())),
    of_double!("log1p", "ln(1 + x); null unless x > -1.", |x| (x > -1.0 || x.is_nan()).then(|| x.ln_1p())),
    of_double!("sin", "Sine of radians.", |x| Some(x.sin())),
    of_double!("cos", "Cosine of radians.", |x| Some(x.cos())),
    of_double!("tan", "Tangent of radians.", |x| Some(x.tan())),
    of_double!("cot", "Cotangent of radians.", |x| Some(1.0 / x.tan())),
    of_double!("sec", "Secant of radians.", |x| Some(1.0 / x.cos())),
    of_double!("csc", "Cosecant of radians.", |x| Some(1.0 / x.sin())),
    of_double!("asin", "Inverse sine.", |x| Some(x.asin())),
    of_double!("acos", "Inverse cosine.", |x| Some(x.acos())),
    of_double!("atan", "Inverse tangent.", |x| Some(x.atan())),
    of_double!("sinh", "Hyperbolic sine.", |x| Some(x.sinh())),
    of_double!("cosh", "Hyperbolic cosine.", |x| Some(x.cosh())),
    of_double!("tanh", "Hyperbolic tangent.", |x| Some(x.tanh())),
    of_double!("asinh", "Inverse hyperbolic sine.", |x| Some(x.asinh())),
    of_double!("acosh", "Inverse hyperbolic cosine.", |x| Some(x.acosh())),
    of_double!("atanh", "Inverse hyperbolic tangent.", |x| Some(x.atanh())),
    of_double!("degrees", "Radians to degrees.", |x| Some(x.to_degrees())),
    of_double!("radians", "Degrees to radians.", |x| Some(x.to_radians())),
    of_double!("rint", "The nearest whole number, halves to even.", |x| Some(x.round_ties_even())),
    of_double!("signum", "-1.0, 0.0 or 1.0.", |x| Some(if x == 0.0 || x.is_nan() { x } else { x.signum() }))
        .aliases(&["sign"]),
    Function::new("pi", &[], DOUBLE, |_, t| numbers::<Float64Type>(1, t, |_| Some(std::f64::consts::PI)))
        .doc("pi()", "3.141592653589793."),
    Function::new("e", &[], DOUBLE, |_, t| numbers::<Float64Type>(1, t, |_| Some(std::f64::consts::E)))
        .doc("e()", "2.718281828459045."),
    Function::new("atan2", &[Double, Double], DOUBLE, |a, t| {
        pairs(a, t, |y, x| {
            // The sum of both zeros is 0.0, as Spark takes them.
            Some((y + 0.0).atan2(x + 0.0))
        })
    })
    .doc("atan2(y, x)", "Angle of the point (x, y)."),
    Function::new("hypot", &[Double, Double], DOUBLE, |a, t| pairs(a, t, |x, y| Some(x.hypot(y))))
        .doc("hypot(a, b)", "sqrt(a² + b²)."),
    Function::new("power", &[Double, Double], DOUBLE, |a, t| pairs(a, t, |x, y| Some(x.powf(y))))
        .aliases(&["pow"])
        .doc("power(x, y)", "x to the power of y."),
    Function::new("log", &[Double, Double], DOUBLE, log)
        .optional(1)
        .doc("log([base,] x)", "Logarithm of x, natural without a base; null where it is not defined."),
    MOD,
    Function::by("pmod", same_numbers, Returns::Like(0), |a, t| arithmetic(a, t, Op::PositiveModulo))
        .doc("pmod(a, b)", "Remainder of a / b, with the sign of b; null if b is 0."),
    Function::by("try_mod", same_numbers, Returns::Like(0), |a, t| arithmetic(a, t, Op::Modulo))
        .doc("try_mod(a, b)", "As a % b."),
    Function::by("try_add", try_args, Returns::Like(0), |a, t| arithmetic(a, t, Op::Add))
        .doc("try_add(a, b)", "a + b, of a date the date b days later; null on overflow.")
        .differs("no intervals: write a + b"),
    Function::by("try_subtract", try_args, Returns::Like(0), |a, t| arithmetic(a, t, Op::Subtract))
        .doc("try_subtract(a, b)", "a - b, of a date the date b days earlier; null on overflow.")
        .differs("no intervals: write a - b"),
    Function::by("try_multiply", same_numbers, Returns::Like(0), |a, t| arithmetic(a, t, Op::Multiply))
        .doc("try_multiply(a, b)", "a * b; null on overflow."),
    Function::new("try_divide", &[Double, Double], DOUBLE, |a, t| pairs(a, t, |x, y| (y != 0.0).then(|| x / y)))
        .doc("try_divide(a, b)", "a / b; null if b is 0."),
    Function::new("abs", &[Number], Returns::Like(0), abs).doc("abs(x)", "x without its sign."),
    Function::new("negative", &[Number], Returns::Like(0), negative).doc("negative(x)", "-x."),
    Function::new("positive", &[Number], Returns::Like(0), |a, _| Ok(Arc::clone(&a[0]))).doc("positive(x)", "x."),
    Function::new("round", &[Number, Any], Returns::Constants(rounded), |a, t| round(a, t, Rounding::HalfUp))
        .optional(1)
        .doc("round(x[, digits])", "x rounded half up (away from 0) at that many digits behind the point."),
    Function::new("bround", &[Number, Any], Returns::Constants(rounded), |a, t| round(a, t, Rounding::HalfEven))
        .optional(1)
        .doc("bround(x[, digits])", "x rounded half to even."),
    Function::new("ceil", &[Number, Any], Returns::Constants(whole), |a, t| round(a, t, Rounding::Up))
        .optional(1)
        .aliases(&["ceiling"])
        .doc("ceil(x[, digits])", "Smallest number not below x: bigint, or decimal of a decimal."),
    Function::new("floor", &[Number, Any], Returns::Constants(whole), |a, t| round(a, t, Rounding::Down))
        .optional(1)
        .doc("floor(x[, digits])", "Largest number not above x: bigint, or decimal of a decimal."),
    Function::new("width_bucket", &[Double, Double, Double, Long], LONG, |a, t| {
        let (x, low, high, n) = (doubles(&a[0]), doubles(&a[1]), doubles(&a[2]), longs(&a[3]));
        numbers::<Int64Type>(x.len(), t, |i| bucket(x.at(i)?, low.at(i)?, high.at(i)?, n.at(i)?))
    })
    .doc(
        "width_bucket(x, low, high, n)",
        "Which of n buckets of equal width holds x; 0 below and n + 1 above all of them.",
    ),
    Function::new("factorial", &[Int], LONG, |a, t| {
        let n = ints(&a[0]);
        numbers::<Int64Type>(n.len(), t, |i| {
            let n = n.at(i).filter(|n| (0..=20).contains(n))?;
            Some((1..=i64::from(n)).product())
        })
    })
    .doc("factorial(n)", "n!; null unless 0 <= n <= 20."),
    Function::new("bin", &[Long], TEXT, |a, _| {
        let n = longs(&a[0]);
        written(n.len(), |i, out| {
            put(out, format_args!("{:b}", n.at(i)?));
            Some(())
        })
    })
    .doc("bin(n)", "Binary digits of n, in two's complement if it is negative."),
    Function::by("hex", hex_args, TEXT, hex).doc("hex(x)", "Hexadecimal digits of a number, text or binary."),
    Function::new("unhex", &[Text], Returns::Is(|| DataType::BinaryView), |a, _| {
        let text = strings(&a[0]);
        bytes(text.len(), |i| unhex(text.at(i)?))
    })
    .doc("unhex(text)", "Bytes of hexadecimal digits; null if there is another character."),
    Function::new("conv", &[Text, Int, Int], TEXT, conv)
        .doc("conv(digits, from, to)", "A number from one base to another (2 to 36; signed if to is negative)."),
    Function::new("isnan", &[Double], Returns::Is(|| DataType::Boolean), |a, _| {
        let x = doubles(&a[0]);
        crate::columns::booleans(x.len(), |i| Some(x.at(i).is_some_and(f64::is_nan)))
    })
    .doc("isnan(x)", "Whether x is NaN; false of null."),
    Function::by(
        "nanvl",
        |given| {
            Ok(vec![
                if given.iter().all(|t| *t == DataType::Float32) { DataType::Float32 } else { DataType::Float64 };
                given.len()
            ])
        },
        Returns::Like(0),
        |a, t| {
            let both = a.iter().map(|c| cast_column(c, &DataType::Float64)).collect::<Result<Vec<_>>>()?;
            let (x, y) = (doubles(&both[0]), doubles(&both[1]));
            let result = numbers::<Float64Type>(x.len(), &DataType::Float64, |i| {
                let x = x.at(i)?;
                if x.is_nan() { y.at(i) } else { Some(x) }
            })?;
            cast_column(&result, t)
        },
    )
    .doc("nanvl(x, y)", "x, or y where x is NaN."),
    Function::new("bit_count", &[Any], Returns::Is(|| DataType::Int32), |a, t| {
        let n = cast_column(&a[0], &DataType::Int64)?;
        let n = longs(&n);
        numbers::<Int32Type>(n.len(), t, |i| Some(n.at(i)?.count_ones() as i32))
    })
    .doc("bit_count(n)", "Number of 1 bits, of a negative number in 64 bits."),
    Function::new("bit_get", &[Long, Int], Returns::Is(|| DataType::Int8), |a, t| {
        let (n, at) = (longs(&a[0]), ints(&a[1]));
        numbers::<Int8Type>(n.len(), t, |i| {
            let at = at.at(i).filter(|p| (0..64).contains(p))?;
            Some(((n.at(i)? >> at) & 1) as i8)
        })
    })
    .aliases(&["getbit"])
    .doc("bit_get(n, position)", "The bit at a position, counted from the lowest, 0."),
    Function::by("shiftleft", shift_args, Returns::Like(0), |a, t| shift(a, t, i32::wrapping_shl, i64::wrapping_shl))
        .doc("shiftleft(x, n)", "Bits moved up by n."),
    Function::by("shiftright", shift_args, Returns::Like(0), |a, t| shift(a, t, i32::wrapping_shr, i64::wrapping_shr))
        .doc("shiftright(x, n)", "Bits moved down by n, keeping the sign."),
    Function::by("shiftrightunsigned", shift_args, Returns::Like(0), |a, t| {
        shift(a, t, |x, n| (x as u32).wrapping_shr(n) as i32, |x, n| (x as u64).wrapping_shr(n) as i64)
    })
    .doc("shiftrightunsigned(x, n)", "Bits moved down by n, filled with 0."),
];

pub(crate) const MOD: Function =
    Function::by("mod", same_numbers, Returns::Like(0), |a, t| arithmetic(a, t, Op::Modulo))
        .doc("mod(a, b)", "Remainder of a / b, with the sign of a, as a % b; null if b is 0.");

fn pairs(args: &[ArrayRef], t: &DataType, f: fn(f64, f64) -> Option<f64>) -> Result<ArrayRef> {
    let (a, b) = (doubles(&args[0]), doubles(&args[1]));
    numbers::<Float64Type>(a.len(), t, |i| f(a.at(i)?, b.at(i)?))
}

fn bucket(x: f64, low: f64, high: f64, n: i64) -> Option<i64> {
    if n <= 0 || n == i64::MAX || x.is_nan() || !low.is_finite() || !high.is_finite() {
        return None;
    }
    let (before, beyond) = match low.partial_cmp(&high)? {
        Ordering::Less => (x < low, x >= high),
        Ordering::Greater => (x > low, x <= high),
        Ordering::Equal => return None,
    };
    Some(match (before, beyond) {
        (true, _) => 0,
        (_, true) => n + 1,
        _ => (n as f64 * (x - low) / (high - low)) as i64 + 1,
    })
}

fn log(args: &[ArrayRef], t: &DataType) -> Result<ArrayRef> {
    if args.len() == 1 {
        let x = doubles(&args[0]);
        return numbers::<Float64Type>(x.len(), t, |i| x.at(i).filter(|&x| x > 0.0).map(f64::ln));
    }
    pairs(args, t, |base, x| (base > 0.0 && x > 0.0).then(|| x.ln() / base.ln()))
}

fn same_numbers(given: &[DataType]) -> Result<Vec<DataType>> {
    if given.len() != 2 {
        return plan_err!("two numbers are needed, not {}", given.len());
    }
    let number = |t: &DataType| if is_text(t) || *t == DataType::Null { DataType::Float64 } else { t.clone() };
    let common = common(&given.iter().map(number).collect::<Vec<_>>())?;
    if !common.is_numeric() {
        return plan_err!("{common} is not a number");
    }
    Ok(vec![common; 2])
}

fn try_args(given: &[DataType]) -> Result<Vec<DataType>> {
    match given {
        [DataType::Date32, days] if days.is_integer() => Ok(vec![DataType::Date32, DataType::Int32]),
        _ => same_numbers(given),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Op {
    Add,
    Subtract,
    Multiply,
    Modulo,
    PositiveModulo,
}

/// Null on overflow and division by zero.
fn arithmetic(args: &[ArrayRef], t: &DataType, op: Op) -> Result<ArrayRef> {
    macro_rules! integers {
        ($t:ty) => {{
            let (a, b) = (args[0].as_primitive::<$t>(), args[1].as_primitive::<$t>());
            numbers::<$t>(a.len(), t, |i| {
                let (a, b) = (a.at(i)?, b.at(i)?);
                match op {
                    Op::Add => a.checked_add(b),
                    Op::Subtract => a.checked_sub(b),
                    Op::Multiply => a.checked_mul(b),
                    Op::Modulo | Op::PositiveModulo if b == 0 => None,
                    Op::Modulo => Some(a.wrapping_rem(b)),
                    Op::PositiveModulo => {
                        let rest = a.wrapping_rem(b);
                        Some(if rest < 0 { rest.wrapping_add(b).wrapping_rem(b) } else { rest })
                    }
                }
            })
        }};
    }
    match t {
        DataType::Int8 => integers!(Int8Type),
        DataType::Int16 => integers!(Int16Type),
        DataType::Int32 => integers!(Int32Type),
        DataType::Int64 => integers!(Int64Type),
        DataType::Decimal128(..) => integers!(Decimal128Type),
        DataType::Date32 => {
            let (a, b) = (crate::columns::dates(&args[0]), ints(&args[1]));
            numbers::<arrow::datatypes::Date32Type>(a.len(), t, |i| {
                let (a, b) = (a.at(i)?, b.at(i)?);
                if op == Op::Subtract { a.checked_sub(b) } else { a.checked_add(b) }
            })
        }
        _ => {
            let both = args.iter().map(|c| cast_column(c, &DataType::Float64)).collect::<Result<Vec<_>>>()?;
            let result = pairs(
                &both,
                &DataType::Float64,
                match op {
                    Op::Add => |a, b| Some(a + b),
                    Op::Subtract => |a, b| Some(a - b),
                    Op::Multiply => |a, b| Some(a * b),
                    Op::Modulo => |a, b| (b != 0.0).then(|| a % b),
                    Op::PositiveModulo => |a, b| {
                        let rest = (b != 0.0).then(|| a % b)?;
                        Some(if rest < 0.0 { (rest + b) % b } else { rest })
                    },
                },
            )?;
            cast_column(&result, t)
        }
    }
}

fn abs(args: &[ArrayRef], t: &DataType) -> Result<ArrayRef> {
    macro_rules! typed {
        ($t:ty, $f:expr) => {{
            let x = args[0].as_primitive::<$t>();
            numbers::<$t>(x.len(), t, |i| x.at(i).map($f))
        }};
    }
    match t {
        DataType::Int8 => typed!(Int8Type, i8::wrapping_abs),
        DataType::Int16 => typed!(Int16Type, i16::wrapping_abs),
        DataType::Int32 => typed!(Int32Type, i32::wrapping_abs),
        DataType::Int64 => typed!(Int64Type, i64::wrapping_abs),
        DataType::Decimal128(..) => typed!(Decimal128Type, i128::wrapping_abs),
        DataType::Float32 => typed!(Float32Type, f32::abs),
        DataType::Float64 => typed!(Float64Type, f64::abs),
        other => exec_err!("abs() of {other}"),
    }
}

fn negative(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    Ok(arrow::compute::kernels::numeric::neg_wrapping(&args[0])?)
}

#[derive(Clone, Copy)]
enum Rounding {
    HalfUp,
    HalfEven,
    Up,
    Down,
}

fn digits_of(constants: &[Option<&ScalarValue>]) -> i32 {
    match constants.get(1) {
        Some(Some(value)) => match value.cast_to(&DataType::Int32) {
            Ok(ScalarValue::Int32(Some(digits))) => digits,
            _ => 0,
        },
        _ => 0,
    }
}

/// Result type of `round`.
#[expect(clippy::unnecessary_wraps, reason = "the type of every type function")]
fn rounded(given: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    let DataType::Decimal128(p, s) = given[0] else { return Ok(given[0].clone()) };
    let (whole, digits) = (i32::from(p) - i32::from(s) + 1, digits_of(constants));
    Ok(if digits < 0 {
        DataType::Decimal128(whole.max(1 - digits).min(38) as u8, 0)
    } else {
        let scale = i32::from(s).min(digits);
        DataType::Decimal128((whole + scale).min(38) as u8, scale as i8)
    })
}

/// Result type of `ceil` and `floor`.
fn whole(given: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    match (&given[0], given.len()) {
        (DataType::Decimal128(..), _) => rounded(given, constants),
        (_, 1) => Ok(DataType::Int64),
        _ => rounded(&[DataType::Decimal128(30, 15)], constants),
    }
}

fn round(args: &[ArrayRef], t: &DataType, rounding: Rounding) -> Result<ArrayRef> {
    let rows = args[0].len();
    let places = args.get(1).map(|a| cast_column(a, &DataType::Int32)).transpose()?;
    let digits = |i: usize| places.as_ref().map_or(Some(0), |p| ints(p).at(i));
    let from = args[0].data_type();
    match (from, t) {
        (DataType::Decimal128(_, s), DataType::Decimal128(p, scale)) => {
            let values = args[0].as_primitive::<Decimal128Type>();
            numbers::<Decimal128Type>(rows, t, |i| {
                let exact = round_integer(values.at(i)?, i32::from(*s) - digits(i)?, rounding)?;
                rescale(exact, *s, *p, *scale)
            })
        }
        (f, DataType::Int64) if is_float(f) => {
            let values = cast_column(&args[0], &DataType::Float64)?;
            let values = doubles(&values);
            numbers::<Int64Type>(rows, t, |i| {
                let x = values.at(i)?;
                Some(if matches!(rounding, Rounding::Up) { x.ceil() } else { x.floor() } as i64)
            })
        }
        (f, t) if is_float(f) && is_float(t) => {
            let values = cast_column(&args[0], &DataType::Float64)?;
            let values = doubles(&values);
            let single = *f == DataType::Float32;
            let result = numbers::<Float64Type>(rows, &DataType::Float64, |i| {
                let x = values.at(i)?;
                let shown = if single { (x as f32).to_string() } else { x.to_string() };
                Some(round_float(x, &shown, digits(i)?, rounding))
            })?;
            cast_column(&result, t)
        }
        (f, DataType::Decimal128(..)) if is_float(f) || f.is_integer() => {
            let decimal = cast_column(&args[0], &DataType::Decimal128(30, 15))?;
            let mut args = args.to_vec();
            args[0] = decimal;
            round(&args, t, rounding)
        }
        _ => {
            let values = cast_column(&args[0], &DataType::Int64)?;
            let values = longs(&values);
            let result = numbers::<Int64Type>(rows, &DataType::Int64, |i| {
                round_integer(values.at(i)?.into(), -digits(i)?, rounding).map(|v| v as i64)
            })?;
            cast_column(&result, t)
        }
    }
}

/// `value` with its last `places` digits rounded to 0.
fn round_integer(value: i128, places: i32, rounding: Rounding) -> Option<i128> {
    if places <= 0 {
        return Some(value);
    }
    let Some(unit) = 10_i128.checked_pow(places as u32) else { return Some(0) };
    let (whole, rest) = (value.div_euclid(unit), value.rem_euclid(unit));
    let up = match rounding {
        Rounding::Up => rest > 0,
        Rounding::Down => false,
        // Half up is away from zero: of a negative number the floor, unless it is nearer to the ceiling.
        Rounding::HalfUp if value < 0 => rest > unit - rest,
        Rounding::HalfUp => rest >= unit - rest,
        Rounding::HalfEven => rest > unit - rest || rest == unit - rest && whole % 2 != 0,
    };
    (whole + i128::from(up)).checked_mul(unit)
}

/// Rounds the shortest decimal form of `x`, as Spark does by way of `BigDecimal`, which has no -0.0.
fn round_float(x: f64, shown: &str, digits: i32, rounding: Rounding) -> f64 {
    if !x.is_finite() {
        return x;
    }
    let (whole, fraction) = shown.split_once('.').unwrap_or((shown, ""));
    if digits >= fraction.len() as i32 {
        return x + 0.0;
    }
    let scale = fraction.len() as i32;
    let Ok(unscaled) = format!("{whole}{fraction}").parse::<i128>() else { return x };
    match round_integer(unscaled, scale - digits, rounding) {
        Some(value) => format!("{value}e{}", -scale).parse().unwrap_or(x),
        None => x,
    }
}

fn hex_args(given: &[DataType]) -> Result<Vec<DataType>> {
    match given {
        [t] if t.is_numeric() => Ok(vec![DataType::Int64]),
        [t] if is_binary(t) => Ok(vec![DataType::BinaryView]),
        [t] if !t.is_nested() => Ok(vec![DataType::Utf8View]),
        _ => plan_err!("hex() takes one number, string or binary"),
    }
}

fn hex(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digits = |bytes: &[u8], out: &mut String| {
        for byte in bytes {
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    };
    let column = &args[0];
    written(column.len(), |i, out| {
        match column.data_type() {
            DataType::Int64 => put(out, format_args!("{:X}", longs(column).at(i)?)),
            DataType::BinaryView => digits(binaries(column).at(i)?, out),
            _ => digits(strings(column).at(i)?.as_bytes(), out),
        }
        Some(())
    })
}

pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let mut digits = text.bytes().map(|b| char::from(b).to_digit(16).map(|d| d as u8));
    let mut out = Vec::with_capacity(text.len().div_ceil(2));
    if text.len() % 2 == 1 {
        out.push(digits.next()??);
    }
    while let Some(high) = digits.next() {
        out.push(high? << 4 | digits.next()??);
    }
    Some(out)
}

fn conv(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let (text, from, to) = (strings(&args[0]), ints(&args[1]), ints(&args[2]));
    written(text.len(), |i, out| {
        let (text, from, to) = (text.at(i)?.trim(), from.at(i)?, to.at(i)?);
        let fits = |base: i32| (2..=36).contains(&base);
        if text.is_empty() || !fits(from) || !fits(to.abs()) {
            return None;
        }
        let (negative, digits) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let mut value: u64 = 0;
        for digit in digits.chars().map_while(|c| c.to_digit(from as u32)) {
            value = value.checked_mul(from as u64).and_then(|v| v.checked_add(digit.into())).unwrap_or(u64::MAX);
        }
        let signed = if negative { (value as i64).wrapping_neg() } else { value as i64 };
        let mut rest = if to < 0 { signed.unsigned_abs() } else { signed as u64 };
        let mut reversed = Vec::new();
        loop {
            let digit = char::from_digit((rest % u64::from(to.unsigned_abs())) as u32, 36).unwrap_or('0');
            reversed.push(digit.to_ascii_uppercase());
            rest /= u64::from(to.unsigned_abs());
            if rest == 0 {
                break;
            }
        }
        if to < 0 && signed < 0 {
            out.push('-');
        }
        out.extend(reversed.iter().rev());
        Some(())
    })
}

fn shift_args(given: &[DataType]) -> Result<Vec<DataType>> {
    match given {
        [DataType::Int64, _] => Ok(vec![DataType::Int64, DataType::Int32]),
        [_, _] => Ok(vec![DataType::Int32, DataType::Int32]),
        _ => plan_err!("two integers are needed, not {}", given.len()),
    }
}

fn shift(args: &[ArrayRef], t: &DataType, int: fn(i32, u32) -> i32, long: fn(i64, u32) -> i64) -> Result<ArrayRef> {
    let by = ints(&args[1]);
    if *t == DataType::Int64 {
        let x = longs(&args[0]);
        return numbers::<Int64Type>(x.len(), t, |i| Some(long(x.at(i)?, by.at(i)? as u32)));
    }
    let x = ints(&args[0]);
    numbers::<Int32Type>(x.len(), t, |i| Some(int(x.at(i)?, by.at(i)? as u32)))
}
