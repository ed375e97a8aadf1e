//! Functions that make intervals, which live within a query only: months with days and a time, or a time alone.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::datatypes::{
    DataType, Decimal128Type, DurationMicrosecondType, IntervalMonthDayNano, IntervalUnit, TimeUnit,
};
use datafusion::common::{Result, plan_err};

use crate::columns::{At, ints, numbers};
use crate::function::{Function, Returns};

const MICROS: i64 = 1_000_000;
const CALENDAR: Returns = Returns::Is(|| DataType::Interval(IntervalUnit::MonthDayNano));

pub(crate) static FUNCTIONS: &[Function] = &[
    Function::by(
        "make_interval",
        |given| parts("make_interval", given, 6, true),
        CALENDAR,
        |args, _| {
            let rows = args.first().map_or(1, |first| first.len());
            made(rows, |i| {
                let part = |n: usize| part(args, n, i);
                let months = part(0)?.checked_mul(12)?.checked_add(part(1)?)?;
                let days = part(2)?.checked_mul(7)?.checked_add(part(3)?)?;
                let micros = time(part(4)?, part(5)?, seconds(args, 6, i)?)?;
                Some(IntervalMonthDayNano::new(
                    months.try_into().ok()?,
                    days.try_into().ok()?,
                    micros.checked_mul(1000)?,
                ))
            })
        },
    )
    .doc("make_interval([years, months, weeks, days, hours, minutes, seconds])", "An interval to add to a moment."),
    Function::by(
        "make_ym_interval",
        |given| parts("make_ym_interval", given, 2, false),
        CALENDAR,
        |args, _| {
            let rows = args.first().map_or(1, |first| first.len());
            made(rows, |i| {
                let months = part(args, 0, i)?.checked_mul(12)?.checked_add(part(args, 1, i)?)?;
                Some(IntervalMonthDayNano::new(months.try_into().ok()?, 0, 0))
            })
        },
    )
    .doc("make_ym_interval([years, months])", "An interval of months to add to a moment."),
    Function::by(
        "make_dt_interval",
        |given| parts("make_dt_interval", given, 3, true),
        Returns::Is(|| DataType::Duration(TimeUnit::Microsecond)),
        |args, t| {
            let rows = args.first().map_or(1, |first| first.len());
            numbers::<DurationMicrosecondType>(rows, t, |i| {
                let days = part(args, 0, i)?.checked_mul(86_400 * MICROS)?;
                days.checked_add(time(part(args, 1, i)?, part(args, 2, i)?, seconds(args, 3, i)?)?)
            })
        },
    )
    .doc("make_dt_interval([days, hours, minutes, seconds])", "An interval of time to add to a moment or to compare."),
];

/// Integers, of which all may be missing, and perhaps seconds with a fraction behind them.
fn parts(name: &str, given: &[DataType], integers: usize, seconds: bool) -> Result<Vec<DataType>> {
    if given.len() > integers + usize::from(seconds) {
        return plan_err!("{name}() takes up to {} arguments, not {}", integers + usize::from(seconds), given.len());
    }
    let wanted = |i: usize| if i < integers { DataType::Int32 } else { DataType::Decimal128(18, 6) };
    Ok((0..given.len()).map(wanted).collect())
}

fn part(args: &[ArrayRef], number: usize, row: usize) -> Option<i64> {
    args.get(number).map_or(Some(0), |part| ints(part).at(row).map(i64::from))
}

/// In microseconds.
fn seconds(args: &[ArrayRef], number: usize, row: usize) -> Option<i64> {
    let micros = args.get(number).map_or(Some(0), |part| part.as_primitive::<Decimal128Type>().at(row));
    micros?.try_into().ok()
}

fn time(hours: i64, minutes: i64, micros: i64) -> Option<i64> {
    hours.checked_mul(60)?.checked_add(minutes)?.checked_mul(60 * MICROS)?.checked_add(micros)
}

#[expect(clippy::unnecessary_wraps, reason = "kernels end in a call of it")]
fn made(rows: usize, at: impl FnMut(usize) -> Option<IntervalMonthDayNano>) -> Result<ArrayRef> {
    Ok(Arc::new((0..rows).map(at).collect::<IntervalMonthDayNanoArray>()))
}
