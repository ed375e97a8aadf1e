//! Intervals: literals, and arithmetic with moments and numbers.
//!
//! A literal is a constant of months, days and nanoseconds. The difference of two timestamps is a duration in microseconds,
//! that of two dates one in seconds, of which Spark says "day" where it says "day to second" of the other. Neither can be a
//! column of a collection.

use arrow::datatypes::{DataType, IntervalMonthDayNano, TimeUnit};
use datafusion::logical_expr::sqlparser::ast::{DateTimeField, Expr as Sql, Interval};
use datafusion::logical_expr::sqlparser::tokenizer::Location;
use datafusion::logical_expr::{Expr, Operator, lit};
use datafusion::scalar::ScalarValue;

use super::arith::plain_cast;
use super::expr::{join, start};
use super::literal::literal;
use super::scope::Typed;
use super::{Bind, Binder};
use crate::types::{a, is_number, timestamp};

const MICROS: i64 = 1_000_000;
const DAY: i64 = 86_400 * MICROS;

/// Whole days.
const DAYS: DataType = DataType::Duration(TimeUnit::Second);

/// A time to the microsecond.
const DURATION: DataType = DataType::Duration(TimeUnit::Microsecond);

impl Binder<'_> {
    /// `INTERVAL '4' SECOND`, `INTERVAL 4 SECONDS`, `INTERVAL '1 day 2 hours'`, `INTERVAL '1:30' MINUTE TO SECOND`.
    pub fn interval(&mut self, interval: &Interval) -> Bind<Typed> {
        match parsed(interval) {
            Ok((value, _)) => Ok(literal(ScalarValue::IntervalMonthDayNano(Some(value)))),
            Err(text) => Err(self.refuse(
                start(&interval.value),
                format!("`{text}` is not an interval"),
                "write INTERVAL '10 minutes' or INTERVAL '10' MINUTE",
            )),
        }
    }

    /// Dates, timestamps, intervals.
    pub fn times(&mut self, left: Typed, op: Operator, right: Typed, at: Location) -> Bind<Typed> {
        if let Some(folded) = folded(&left, op, &right) {
            return Ok(folded);
        }
        let sum = matches!(op, Operator::Plus | Operator::Minus);
        match (&left.data_type, op, &right.data_type) {
            (l, Operator::Plus, DataType::Date32 | DataType::Timestamp(..)) if !is_moment(l) => {
                self.moved(right, op, left, at)
            }
            (DataType::Date32 | DataType::Timestamp(..), Operator::Minus, r) if is_moment(r) => {
                self.difference(left, right, at)
            }
            (DataType::Date32 | DataType::Timestamp(..), _, _) if sum => self.moved(left, op, right, at),
            (l, Operator::Multiply | Operator::Divide, r) if is_interval(l) && is_number(r) => {
                self.multiple(left, op, right, at)
            }
            (l, Operator::Multiply, r) if is_number(l) && is_interval(r) => self.multiple(right, op, left, at),
            _ => match (as_duration(&left), as_duration(&right)) {
                (Some(l), Some(r)) if sum => Ok(Typed::new(join(l.expr, op, r.expr), DURATION)),
                _ => Err(self.unfit(&left, op, &right, at)),
            },
        }
    }

    fn unfit(&mut self, left: &Typed, op: Operator, right: &Typed, at: Location) -> super::Refused {
        let message = format!("`{op}` does not take {} and {}", a(&left.data_type), a(&right.data_type));
        self.refuse_plain(at, message)
    }

    /// A moment plus or minus days or an interval.
    fn moved(&mut self, moment: Typed, op: Operator, by: Typed, at: Location) -> Bind<Typed> {
        let date = moment.data_type == DataType::Date32;
        let days = if op == Operator::Plus { "date_add" } else { "date_sub" };
        match &by.data_type {
            number if date && number.is_integer() => self.call(days, vec![moment, by], at),
            DataType::Duration(TimeUnit::Second) if date => {
                let seconds = Typed::new(plain_cast(by.expr, &DataType::Int64), DataType::Int64);
                let number = self.call("div", vec![seconds, literal(ScalarValue::Int64(Some(DAY / MICROS)))], at)?;
                self.call(days, vec![moment, number], at)
            }
            DataType::Duration(_) => {
                let Some(by) = as_duration(&by) else { return Err(self.unfit(&moment, op, &by, at)) };
                let moment = if date { self.cast(moment, &timestamp(), at)? } else { moment };
                Ok(Typed::new(join(moment.expr, op, by.expr), moment.data_type))
            }
            DataType::Interval(_) if date => {
                // Spark keeps a date unless the interval is written with a time of day.
                let whole = match &by.expr {
                    Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) => interval.nanoseconds == 0,
                    _ => true,
                };
                let moved = join(plain_cast(moment.expr, &timestamp()), op, by.expr);
                Ok(if whole {
                    Typed::new(plain_cast(moved, &DataType::Date32), DataType::Date32)
                } else {
                    Typed::new(moved, timestamp())
                })
            }
            DataType::Interval(_) => Ok(Typed::new(join(moment.expr, op, by.expr), moment.data_type)),
            _ => Err(self.unfit(&moment, op, &by, at)),
        }
    }

    fn difference(&mut self, end: Typed, begin: Typed, at: Location) -> Bind<Typed> {
        if end.data_type == DataType::Date32 && begin.data_type == DataType::Date32 {
            let days = self.call("datediff", vec![end, begin], at)?;
            let seconds = join(plain_cast(days.expr, &DataType::Int64), Operator::Multiply, lit(DAY / MICROS));
            return Ok(Typed::new(plain_cast(seconds, &DAYS), DAYS));
        }
        let mut micros = |moment: Typed| {
            let moment = self.cast(moment, &timestamp(), at)?;
            self.call("unix_micros", vec![moment], at)
        };
        let (end, begin) = (micros(end)?, micros(begin)?);
        let micros = join(end.expr, Operator::Minus, begin.expr);
        Ok(Typed::new(plain_cast(micros, &DURATION), DURATION))
    }

    /// An interval times or divided by a number, rounded half up to microseconds; null for a divisor of 0.
    fn multiple(&mut self, interval: Typed, op: Operator, number: Typed, at: Location) -> Bind<Typed> {
        let Some(duration) = as_duration(&interval) else {
            if let (Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(months)), _), Operator::Multiply) =
                (&interval.expr, op)
                && number.data_type.is_integer()
                && (months.days, months.nanoseconds) == (0, 0)
            {
                let months = literal(ScalarValue::Int32(Some(months.months)));
                let months = self.arithmetic_of(months, op, number, at)?;
                return self.call("make_ym_interval", vec![literal(ScalarValue::Int32(Some(0))), months], at);
            }
            return Err(self.refuse(
                at,
                format!("`{op}` does not take an interval of months and {}", a(&number.data_type)),
                "write add_months(date, n) or timestampadd(MONTH, n, moment)",
            ));
        };
        let micros = Typed::new(plain_cast(duration.expr, &DataType::Int64), DataType::Int64);
        let product = self.arithmetic_of(micros, op, number, at)?;
        let whole = match &product.data_type {
            integer if integer.is_integer() => product,
            _ => self.call("round", vec![product], at)?,
        };
        let whole = self.cast(whole, &DataType::Int64, at)?;
        Ok(Typed::new(plain_cast(whole.expr, &DURATION), DURATION))
    }
}

/// The interval without months in microseconds.
pub fn as_duration(typed: &Typed) -> Option<Typed> {
    match (&typed.data_type, &typed.expr) {
        (DataType::Duration(TimeUnit::Microsecond), _) => Some(typed.clone()),
        (DataType::Duration(_), _) => Some(Typed::new(plain_cast(typed.expr.clone(), &DURATION), DURATION)),
        (_, Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _)) => {
            Some(literal(ScalarValue::DurationMicrosecond(Some(micros_of(*interval)?))))
        }
        _ => None,
    }
}

fn is_interval(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Interval(_) | DataType::Duration(_))
}

fn is_moment(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Timestamp(..))
}

/// A sum or difference of two literals is one.
fn folded(left: &Typed, op: Operator, right: &Typed) -> Option<Typed> {
    let value = |typed: &Typed| match &typed.expr {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(value), _) => *value,
        _ => None,
    };
    let (l, r) = (value(left)?, value(right)?);
    let sign = match op {
        Operator::Plus => 1,
        Operator::Minus => -1,
        _ => return None,
    };
    let interval = IntervalMonthDayNano::new(
        l.months.checked_add(r.months.checked_mul(sign)?)?,
        l.days.checked_add(r.days.checked_mul(sign)?)?,
        l.nanoseconds.checked_add(r.nanoseconds.checked_mul(i64::from(sign))?)?,
    );
    Some(literal(ScalarValue::IntervalMonthDayNano(Some(interval))))
}

/// `1 hour 30 minutes`, as Spark's `window` and intervals are written; months are kept apart.
pub fn interval_of(text: &str) -> Option<IntervalMonthDayNano> {
    let text = text.trim().to_lowercase();
    let text = text.strip_prefix("interval ").unwrap_or(&text);
    let words: Vec<&str> = text.split_whitespace().collect();
    if words.is_empty() || !words.len().is_multiple_of(2) {
        return None;
    }
    let (mut months, mut days, mut micros) = (0_i32, 0_i32, 0_i64);
    for pair in words.chunks(2) {
        let unit = pair[1].trim_end_matches('s');
        if unit == "second" {
            let seconds = decimal_micros(pair[0])?;
            micros = micros.checked_add(seconds)?;
            continue;
        }
        let count: i64 = pair[0].parse().ok()?;
        let small = i32::try_from(count).ok();
        match unit {
            "year" => months = months.checked_add(small?.checked_mul(12)?)?,
            "quarter" => months = months.checked_add(small?.checked_mul(3)?)?,
            "month" => months = months.checked_add(small?)?,
            "week" => days = days.checked_add(small?.checked_mul(7)?)?,
            "day" => days = days.checked_add(small?)?,
            "hour" => micros = micros.checked_add(count.checked_mul(3600 * MICROS)?)?,
            "minute" => micros = micros.checked_add(count.checked_mul(60 * MICROS)?)?,
            "millisecond" => micros = micros.checked_add(count.checked_mul(1000)?)?,
            "microsecond" => micros = micros.checked_add(count)?,
            _ => return None,
        }
    }
    Some(IntervalMonthDayNano::new(months, days, micros.checked_mul(1000)?))
}

/// Microseconds of an interval without months.
pub fn micros_of(interval: IntervalMonthDayNano) -> Option<i64> {
    (interval.months == 0).then_some(())?;
    i64::from(interval.days).checked_mul(DAY)?.checked_add(interval.nanoseconds / 1000)
}

/// As Spark writes an interval literal: `INTERVAL '03:05' HOUR TO MINUTE`.
pub fn interval_text(interval: &Interval) -> Option<String> {
    let (value, words) = parsed(interval).ok()?;
    let rank = |word: &str| match word.trim_end_matches('s') {
        "week" => UNITS.iter().position(|unit| *unit == "day"),
        "quarter" => UNITS.iter().position(|unit| *unit == "month"),
        "millisecond" | "microsecond" => Some(UNITS.len() - 1),
        unit => UNITS.iter().position(|known| *known == unit),
    };
    let ranks = words.split_whitespace().skip(1).step_by(2).map(rank).collect::<Option<Vec<_>>>()?;
    let (first, last) = (*ranks.iter().min()?, *ranks.iter().max()?);
    // Whole units of each kind, the largest of which takes what the larger ones would.
    let total = if last < 2 { i128::from(value.months) } else { i128::from(micros_of(value)?) };
    let sizes: [i128; 6] = [12, 1, DAY.into(), i128::from(DAY) / 24, i128::from(DAY) / 1440, MICROS.into()];
    let (sign, mut rest, mut text) = (if total < 0 { "-" } else { "" }, total.abs(), String::new());
    for (unit, size) in sizes.iter().enumerate().take(last + 1).skip(first) {
        let (whole, below) = (rest / size, rest % size);
        rest = below;
        text.push_str(match unit {
            _ if unit == first => "",
            1 => "-",
            3 => " ",
            _ => ":",
        });
        let digits = whole.to_string();
        // Days and months stand as they are, times of day with two digits.
        text.push_str(if unit >= 3 && digits.len() == 1 { "0" } else { "" });
        text.push_str(&digits);
    }
    if last == UNITS.len() - 1 && rest > 0 {
        text.push_str(format!(".{rest:06}").trim_end_matches('0'));
    }
    let units = [first, last].map(|unit| UNITS[unit].to_uppercase());
    let units = if first == last { units[0].clone() } else { units.join(" TO ") };
    Some(format!("INTERVAL '{sign}{text}' {units}"))
}

const UNITS: [&str; 6] = ["year", "month", "day", "hour", "minute", "second"];

/// The value, and the words that say it in pairs of number and unit; what was written if it is no interval.
fn parsed(interval: &Interval) -> Result<(IntervalMonthDayNano, String), String> {
    let text = match interval.value.as_ref() {
        Sql::Value(value) => value.value.to_string().trim_matches('\'').to_owned(),
        Sql::UnaryOp { expr, .. } => format!("-{expr}"),
        other => other.to_string(),
    };
    let words = match (&interval.leading_field, &interval.last_field) {
        (None, _) => Some(text.trim().to_lowercase()),
        (Some(field), None) => Some(format!("{text} {field}").to_lowercase()),
        (Some(first), Some(last)) => from_to(&text, first, last),
    };
    let words = words.map(|words| words.strip_prefix("interval ").map(str::to_owned).unwrap_or(words));
    match words.and_then(|words| Some((interval_of(&words)?, words))) {
        Some(parsed) => Ok(parsed),
        None => Err(text),
    }
}

fn decimal_micros(text: &str) -> Option<i64> {
    let negative = text.starts_with('-');
    let (whole, fraction) =
        text.trim_start_matches(['-', '+']).split_once('.').unwrap_or((text.trim_start_matches(['-', '+']), ""));
    let fraction = format!("{fraction:0<6}");
    let micros = whole.parse::<i64>().ok()?.checked_mul(MICROS)? + fraction.get(..6)?.parse::<i64>().ok()?;
    Some(if negative { -micros } else { micros })
}

/// `'1-2' YEAR TO MONTH`, `'1 02:03:04' DAY TO SECOND` and what lies between, in words.
fn from_to(text: &str, first: &DateTimeField, last: &DateTimeField) -> Option<String> {
    let at = |field: &DateTimeField| {
        let name = field.to_string().to_lowercase();
        UNITS.iter().position(|unit| name.trim_end_matches('s') == *unit)
    };
    let (first, last) = (at(first)?, at(last)?);
    let negative = text.starts_with('-');
    let parts: Vec<&str> = text.trim_start_matches('-').split(['-', ' ', ':']).collect();
    if first >= last || parts.len() != last - first + 1 {
        return None;
    }
    let sign = if negative { "-" } else { "" };
    let words: Vec<String> =
        parts.iter().zip(&UNITS[first..=last]).map(|(part, unit)| format!("{sign}{part} {unit}")).collect();
    Some(words.join(" "))
}
