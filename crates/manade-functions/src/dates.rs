//! Functions of dates and timestamps, in UTC.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, DurationMicrosecondType, Float64Type, Int8Type, Int32Type, Int64Type,
    TimeUnit, TimestampMicrosecondType,
};
use chrono::{DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, Timelike, Weekday};
use datafusion::common::{DataFusionError, Result, ScalarValue, plan_err};
use manade_events::datetime::{Pattern, long_zone};

use crate::cast::{cast_column, days_of, parse_decimal, show_timestamp, zone_offset};
use crate::columns::{At, dates, doubles, ints, longs, numbers, strings, texts, times, written};
use crate::function::Arg::{Bool, Date, Int, Long, Text, Time};
use crate::function::{Function, Returns};
use crate::types::{is_float, is_text, spark_name, timestamp, timestamp_ntz};

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
const DATE: Returns = Returns::Is(|| DataType::Date32);
const DOUBLE: Returns = Returns::Is(|| DataType::Float64);
const INT: Returns = Returns::Is(|| DataType::Int32);
const LONG: Returns = Returns::Is(|| DataType::Int64);
const TEXT: Returns = Returns::Is(|| DataType::Utf8View);
const TIME: Returns = Returns::Is(timestamp);
const AT_ZONE: Returns = Returns::Constants(at_zone);
const PATTERNS: &str = "patterns are those of docs/: Spark's letters without localised forms";

macro_rules! of_date {
    ($name:literal, $line:literal, $f:expr) => {
        Function::new($name, &[Date], INT, |args, t| {
            let dates = dates(&args[0]);
            numbers::<Int32Type>(dates.len(), t, |i| {
                let f: fn(NaiveDate) -> i32 = $f;
                day(dates.at(i)?).map(f)
            })
        })
        .doc(concat!($name, "(date)"), $line)
    };
}

macro_rules! of_clock {
    ($name:literal, $line:literal, $unit:expr, $modulo:expr) => {
        Function::new($name, &[Time], INT, |args, t| {
            let times = times(&args[0]);
            numbers::<Int32Type>(times.len(), t, |i| Some((times.at(i)?.div_euclid($unit).rem_euclid($modulo)) as i32))
        })
        .doc(concat!($name, "(timestamp)"), $line)
    };
}

/// A `bigint` of microseconds since 1970.
macro_rules! of_micros {
    ($name:literal, $line:literal, $unit:expr) => {
        Function::new($name, &[Time], LONG, |args, t| {
            let times = times(&args[0]);
            numbers::<Int64Type>(times.len(), t, |i| Some(times.at(i)?.div_euclid($unit)))
        })
        .doc(concat!($name, "(timestamp)"), $line)
    };
}

macro_rules! from_count {
    ($name:literal, $line:literal, $unit:expr) => {
        Function::new($name, &[Long], TIME, |args, t| {
            let counts = longs(&args[0]);
            numbers::<TimestampMicrosecondType>(counts.len(), t, |i| counts.at(i)?.checked_mul($unit))
        })
        .doc(concat!($name, "(n)"), $line)
    };
}

pub(crate) const DATE_PART: Function = Function::by("date_part", part_args, Returns::Constants(part_type), date_part)
    .aliases(&["datepart"])
    .doc(
        "date_part(field, x)",
        "A field of a date, a timestamp, or the interval between two, as EXTRACT(field FROM x).",
    )
    .differs("no fields of months; the field is a constant")
    .tried();

pub(crate) static FUNCTIONS: &[Function] = &[
    DATE_PART,
    of_date!("year", "The year.", |d| d.year()),
    of_date!("quarter", "The quarter, 1 to 4.", |d| d.month0() as i32 / 3 + 1),
    of_date!("month", "The month, 1 to 12.", |d| d.month() as i32),
    of_date!("dayofmonth", "The day of the month.", |d| d.day() as i32).aliases(&["day"]),
    of_date!("dayofweek", "The day of the week, 1 (Sunday) to 7.", |d| d.weekday().number_from_sunday() as i32),
    of_date!("weekday", "The day of the week, 0 (Monday) to 6.", |d| d.weekday().num_days_from_monday() as i32),
    of_date!("dayofyear", "The day of the year.", |d| d.ordinal() as i32),
    of_date!("weekofyear", "The ISO week of the year.", |d| d.iso_week().week() as i32),
    of_clock!("hour", "The hour, 0 to 23.", 3600 * SECOND, 24),
    of_clock!("minute", "The minute.", 60 * SECOND, 60),
    of_clock!("second", "The second.", SECOND, 60),
    of_micros!("unix_seconds", "Seconds since 1970.", SECOND),
    of_micros!("unix_millis", "Milliseconds since 1970.", 1000),
    of_micros!("unix_micros", "Microseconds since 1970.", 1),
    from_count!("timestamp_millis", "The timestamp n milliseconds after 1970 began.", 1000),
    from_count!("timestamp_micros", "The timestamp n microseconds after 1970 began.", 1),
    Function::by(
        "timestamp_seconds",
        |given| match given {
            [t] if is_float(t) => Ok(vec![DataType::Float64]),
            [DataType::Int64] => Ok(vec![DataType::Int64]),
            [_] => Ok(vec![DataType::Decimal128(30, 6)]),
            _ => plan_err!("timestamp_seconds() takes 1 argument, not {}", given.len()),
        },
        TIME,
        |args, t| match args[0].data_type() {
            DataType::Float64 => {
                let seconds = doubles(&args[0]);
                // Beyond the timestamps there are, the last of them.
                let micros = |s: f64| s.is_finite().then_some((s * SECOND as f64) as i64);
                numbers::<TimestampMicrosecondType>(seconds.len(), t, |i| micros(seconds.at(i)?))
            }
            _ => cast_column(&args[0], t),
        },
    )
    .doc("timestamp_seconds(n)", "The timestamp n seconds after 1970 began; n may have a fraction."),
    Function::new("unix_date", &[Date], INT, |args, t| {
        let dates = dates(&args[0]);
        numbers::<Int32Type>(dates.len(), t, |i| dates.at(i))
    })
    .doc("unix_date(date)", "Days since 1970-01-01."),
    Function::new("date_from_unix_date", &[Int], DATE, |args, t| {
        let days = ints(&args[0]);
        numbers::<Date32Type>(days.len(), t, |i| days.at(i))
    })
    .doc("date_from_unix_date(n)", "The date n days after 1970-01-01."),
    Function::new("monthname", &[Date], TEXT, |args, _| {
        let dates = dates(&args[0]);
        texts(dates.len(), |i| Some(day(dates.at(i)?)?.format("%b").to_string()))
    })
    .doc("monthname(date)", "Jan to Dec."),
    Function::new("dayname", &[Date], TEXT, |args, _| {
        let dates = dates(&args[0]);
        texts(dates.len(), |i| Some(day(dates.at(i)?)?.format("%a").to_string()))
    })
    .doc("dayname(date)", "Mon to Sun."),
    Function::new("date_format", &[Time, Text], TEXT, |args, _| {
        let times = times(&args[0]);
        formatted(&args[1], times.len(), |i| times.at(i))
    })
    .doc("date_format(timestamp, pattern)", "A timestamp as text.")
    .differs(PATTERNS)
    .tried(),
    Function::new("from_unixtime", &[Long, Text], TEXT, |args, _| {
        let seconds = longs(&args[0]);
        if let Some(patterns) = args.get(1) {
            return formatted(patterns, seconds.len(), |i| seconds.at(i)?.checked_mul(SECOND));
        }
        written(seconds.len(), |i, out| {
            show_timestamp(seconds.at(i)?.checked_mul(SECOND)?, out);
            Some(())
        })
    })
    .optional(1)
    .doc("from_unixtime(seconds[, pattern])", "Seconds since 1970 as text, yyyy-MM-dd HH:mm:ss without a pattern.")
    .differs(PATTERNS)
    .tried(),
    Function::by("to_timestamp", parse_args, TIME, parsed)
        .aliases(&["try_to_timestamp", "to_timestamp_ltz"])
        .doc("to_timestamp(text[, pattern])", "The timestamp that a text holds; null if it holds none.")
        .differs(PATTERNS)
        .tried(),
    Function::by("to_timestamp_ntz", parse_args, Returns::Is(timestamp_ntz), parsed)
        .doc("to_timestamp_ntz(text[, pattern])", "As to_timestamp, without a zone.")
        .differs(PATTERNS)
        .tried(),
    Function::by(
        "to_date",
        |given| moment_args("to_date", given),
        DATE,
        |args, t| {
            if args.len() == 1 {
                return cast_column(&args[0], t);
            }
            cast_column(&parsed(args, &timestamp())?, t)
        },
    )
    .aliases(&["try_to_date"])
    .doc("to_date(text[, pattern])", "The date that a text holds; null if it holds none.")
    .differs(PATTERNS)
    .tried(),
    Function::by(
        "unix_timestamp",
        |given| moment_args("unix_timestamp", given),
        LONG,
        |args, t| {
            let times_in = parsed(args, &timestamp())?;
            let times = times(&times_in);
            // Towards 1970, unlike unix_seconds().
            numbers::<Int64Type>(times.len(), t, |i| Some(times.at(i)? / SECOND))
        },
    )
    .aliases(&["to_unix_timestamp"])
    .doc("unix_timestamp(x[, pattern])", "Seconds since 1970 of a timestamp, date or text.")
    .differs("needs an argument; a text without a pattern may have any form that CAST takes"),
    Function::new("datediff", &[Date, Date], INT, |args, t| {
        let (end, start) = (dates(&args[0]), dates(&args[1]));
        numbers::<Int32Type>(end.len(), t, |i| Some(end.at(i)?.wrapping_sub(start.at(i)?)))
    })
    .aliases(&["date_diff"])
    .doc("datediff(end, start)", "Days from start to end."),
    Function::new("add_months", &[Date, Int], DATE, |args, t| {
        let (dates, months) = (dates(&args[0]), ints(&args[1]));
        numbers::<Date32Type>(dates.len(), t, |i| add_months(day(dates.at(i)?)?, months.at(i)?.into()).map(days_of))
    })
    .doc("add_months(date, n)", "The date n months later, at most the last day of that month."),
    Function::new("months_between", &[Time, Time, Bool], DOUBLE, months_between).optional(1).doc(
        "months_between(a, b[, round])",
        "Months from b to a, in 31sts of a month, rounded to 8 digits unless told not to.",
    ),
    Function::new("last_day", &[Date], DATE, |args, t| {
        let dates = dates(&args[0]);
        numbers::<Date32Type>(dates.len(), t, |i| last_of_month(day(dates.at(i)?)?).map(days_of))
    })
    .doc("last_day(date)", "The last day of the month."),
    Function::new("next_day", &[Date, Text], DATE, |args, t| {
        let (dates, names) = (dates(&args[0]), strings(&args[1]));
        numbers::<Date32Type>(dates.len(), t, |i| {
            let (date, wanted) = (dates.at(i)?, weekday(names.at(i)?)?);
            let today = day(date)?.weekday().num_days_from_monday() as i32;
            let ahead = (wanted.num_days_from_monday() as i32 - today - 1).rem_euclid(7) + 1;
            Some(date + ahead)
        })
    })
    .doc("next_day(date, weekday)", "The first such day after a date."),
    Function::new("trunc", &[Date, Text], DATE, |args, t| {
        let (dates, units) = (dates(&args[0]), strings(&args[1]));
        numbers::<Date32Type>(dates.len(), t, |i| {
            let unit = Unit::of(units.at(i)?).filter(|u| !matches!(u, Unit::Micros(_)))?;
            Some(unit.truncate(i64::from(dates.at(i)?) * DAY)?.div_euclid(DAY) as i32)
        })
    })
    .doc("trunc(date, unit)", "The date at which the year, quarter, month or week of a date begins."),
    Function::new("date_trunc", &[Text, Time], Returns::Like(1), |args, t| {
        let (units, times) = (strings(&args[0]), times(&args[1]));
        let mut last: Option<(&str, Option<Unit>)> = None;
        numbers::<TimestampMicrosecondType>(times.len(), t, |i| {
            let (name, time) = (units.at(i)?, times.at(i)?);
            if last.is_none_or(|(known, _)| known != name) {
                last = Some((name, Unit::of(name)));
            }
            last.and_then(|(_, unit)| unit)?.truncate(time)
        })
    })
    .doc("date_trunc(unit, timestamp)", "The timestamp at which its year, quarter, month, week, day, hour ... begins."),
    Function::new("make_date", &[Int, Int, Int], DATE, |args, t| {
        let (y, m, d) = (ints(&args[0]), ints(&args[1]), ints(&args[2]));
        numbers::<Date32Type>(y.len(), t, |i| date_of(y.at(i)?, m.at(i)?, d.at(i)?).map(days_of))
    })
    .doc("make_date(year, month, day)", "A date; null if there is no such day."),
    Function::by("make_timestamp", make_args, Returns::Constants(made), make_timestamp)
        .aliases(&["make_timestamp_ltz", "try_make_timestamp"])
        .doc(
            "make_timestamp(year, month, day, hour, minute, seconds[, zone])",
            "A timestamp; null if there is none such.",
        ),
    Function::by("make_timestamp_ntz", make_args, Returns::Is(timestamp_ntz), make_timestamp)
        .doc("make_timestamp_ntz(year, month, day, hour, minute, seconds)", "A timestamp without a zone."),
    Function::new("timestampadd", &[Text, Long, Time], Returns::Like(2), |args, t| {
        let (units, counts, times) = (strings(&args[0]), longs(&args[1]), times(&args[2]));
        numbers::<TimestampMicrosecondType>(times.len(), t, |i| {
            let (count, time) = (counts.at(i)?, times.at(i)?);
            match Step::of(units.at(i)?)? {
                Step::Micros(unit) => time.checked_add(count.checked_mul(unit)?),
                Step::Months(unit) => shift_months(time, count.checked_mul(unit)?),
            }
        })
    })
    .doc("timestampadd(unit, n, timestamp)", "The timestamp n units later.")
    .differs("as a function, the unit is a text: timestampadd('HOUR', 8, t)"),
    Function::new("timestampdiff", &[Text, Time, Time], LONG, |args, t| {
        let (units, starts, ends) = (strings(&args[0]), times(&args[1]), times(&args[2]));
        numbers::<Int64Type>(starts.len(), t, |i| {
            let (start, end) = (starts.at(i)?, ends.at(i)?);
            match Step::of(units.at(i)?)? {
                Step::Micros(unit) => Some((end - start) / unit),
                Step::Months(unit) => Some(whole_months(start, end)? / unit),
            }
        })
    })
    .doc("timestampdiff(unit, start, end)", "Whole units from start to end.")
    .differs("as a function, the unit is a text"),
    Function::new("from_utc_timestamp", &[Time, Text], AT_ZONE, |args, t| zoned(args, t, true))
        .doc("from_utc_timestamp(timestamp, zone)", "What the clock of a zone shows, as a timestamp."),
    Function::new("to_utc_timestamp", &[Time, Text], AT_ZONE, |args, t| zoned(args, t, false))
        .doc("to_utc_timestamp(timestamp, zone)", "The timestamp at which the clock of a zone shows this."),
    Function::by("convert_timezone", convert_args, Returns::Constants(converted), |args, t| {
        let (zones, times) = (&args[..args.len() - 1], times(&args[args.len() - 1]));
        numbers::<TimestampMicrosecondType>(times.len(), t, |i| {
            let (time, zone) = (times.at(i)?, |n: usize| strings(&zones[n]).at(i));
            let utc = if zones.len() == 2 { time - zone_offset(zone(0)?, time)? * SECOND } else { time };
            Some(utc + offset_at(zone(zones.len() - 1)?, utc)? * SECOND)
        })
    })
    .doc("convert_timezone([from,] to, timestamp_ntz)", "A clock's time in another zone, from UTC's without a from."),
    Function::new("current_timezone", &[], TEXT, |_, _| texts(1, |_| Some("UTC"))).doc("current_timezone()", "UTC."),
];

/// The date that many days after 1970 began.
fn day(days: i32) -> Option<NaiveDate> {
    NaiveDate::from_num_days_from_ce_opt(days.checked_add(719_163)?)
}

fn date_of(year: i32, month: i32, day: i32) -> Option<NaiveDate> {
    NaiveDate::from_ymd_opt(year, month.try_into().ok()?, day.try_into().ok()?)
}

fn clock(micros: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_micros(micros).map(|t| t.naive_utc())
}

fn add_months(date: NaiveDate, months: i64) -> Option<NaiveDate> {
    let by = Months::new(u32::try_from(months.unsigned_abs()).ok()?);
    if months < 0 { date.checked_sub_months(by) } else { date.checked_add_months(by) }
}

pub(crate) fn shift_months(micros: i64, months: i64) -> Option<i64> {
    let date = day(micros.div_euclid(DAY) as i32)?;
    Some(i64::from(days_of(add_months(date, months)?)) * DAY + micros.rem_euclid(DAY))
}

fn last_of_month(date: NaiveDate) -> Option<NaiveDate> {
    date.with_day(1)?.checked_add_months(Months::new(1))?.checked_sub_days(Days::new(1))
}

fn weekday(name: &str) -> Option<Weekday> {
    let name = name.to_ascii_lowercase();
    let days = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];
    let found = days.iter().position(|d| name == d[..2] || name == d[..3] || name == *d)?;
    Weekday::try_from(found as u8).ok()
}

/// Microseconds of a unit below a day.
fn short_unit(name: &str) -> Option<i64> {
    Some(match name {
        "microsecond" => 1,
        "millisecond" => 1000,
        "second" => SECOND,
        "minute" => 60 * SECOND,
        "hour" => 3600 * SECOND,
        _ => return None,
    })
}

/// What `trunc` and `date_trunc` cut to.
#[derive(Clone, Copy)]
enum Unit {
    Micros(i64),
    Week,
    Months(u32),
}

impl Unit {
    fn of(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        Some(match name.as_str() {
            "day" | "dd" => Self::Micros(DAY),
            "week" => Self::Week,
            "month" | "mon" | "mm" => Self::Months(1),
            "quarter" => Self::Months(3),
            "year" | "yyyy" | "yy" => Self::Months(12),
            short => Self::Micros(short_unit(short)?),
        })
    }

    fn truncate(self, micros: i64) -> Option<i64> {
        match self {
            Self::Micros(unit) => Some(micros.div_euclid(unit) * unit),
            Self::Week => {
                let days = micros.div_euclid(DAY);
                // 1970-01-01 was a Thursday.
                Some((days - (days + 3).rem_euclid(7)) * DAY)
            }
            Self::Months(unit) => {
                let date = day(micros.div_euclid(DAY) as i32)?;
                let start = NaiveDate::from_ymd_opt(date.year(), date.month0() / unit * unit + 1, 1)?;
                Some(i64::from(days_of(start)) * DAY)
            }
        }
    }
}

/// A unit to count in.
enum Step {
    Micros(i64),
    Months(i64),
}

impl Step {
    fn of(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        Some(match name.as_str() {
            "day" | "dayofyear" => Self::Micros(DAY),
            "week" => Self::Micros(7 * DAY),
            "month" => Self::Months(1),
            "quarter" => Self::Months(3),
            "year" => Self::Months(12),
            short => Self::Micros(short_unit(short)?),
        })
    }
}

fn whole_months(start: i64, end: i64) -> Option<i64> {
    let (a, b) = (clock(start)?, clock(end)?);
    let months = i64::from(b.year() - a.year()) * 12 + i64::from(b.month()) - i64::from(a.month());
    let rest = |t: NaiveDateTime| (t.day(), t.time());
    Some(match months {
        1.. if rest(b) < rest(a) => months - 1,
        ..=-1 if rest(b) > rest(a) => months + 1,
        _ => months,
    })
}

fn months_between(args: &[ArrayRef], t: &DataType) -> Result<ArrayRef> {
    use arrow::array::AsArray;
    let (a, b) = (times(&args[0]), times(&args[1]));
    numbers::<Float64Type>(a.len(), t, |i| {
        let (micros_a, micros_b) = (a.at(i)?, b.at(i)?);
        let (a, b) = (clock(micros_a)?, clock(micros_b)?);
        let months = f64::from((a.year() - b.year()) * 12 + a.month() as i32 - b.month() as i32);
        let last = |t: NaiveDateTime| last_of_month(t.date()).is_some_and(|l| l == t.date());
        if a.day() == b.day() || last(a) && last(b) {
            return Some(months);
        }
        let seconds = |t: NaiveDateTime, micros: i64| i64::from(t.day()) * 86_400 + micros.rem_euclid(DAY) / SECOND;
        let exact = months + (seconds(a, micros_a) - seconds(b, micros_b)) as f64 / (31.0 * 86_400.0);
        let round = args.get(2).is_none_or(|r| r.as_boolean().at(i).unwrap_or(true));
        Some(if round { (exact * 1e8).round() / 1e8 } else { exact })
    })
}

/// Compiles each pattern once.
fn patterns(column: &ArrayRef) -> Result<Vec<(String, Pattern)>> {
    let texts = strings(column);
    let mut compiled: Vec<(String, Pattern)> = Vec::new();
    for text in (0..texts.len()).filter_map(|i| texts.at(i)) {
        if compiled.last().is_none_or(|(last, _)| last != text) && !compiled.iter().any(|(known, _)| known == text) {
            let pattern =
                Pattern::compile(text).map_err(|e| DataFusionError::Execution(format!("pattern '{text}': {e}")))?;
            compiled.push((text.to_owned(), pattern));
        }
    }
    Ok(compiled)
}

fn formatted(column: &ArrayRef, rows: usize, mut at: impl FnMut(usize) -> Option<i64>) -> Result<ArrayRef> {
    let (compiled, texts) = (patterns(column)?, strings(column));
    written(rows, |i, out| {
        let (time, text) = (at(i)?, texts.at(i)?);
        let (_, pattern) = compiled.iter().find(|(known, _)| known == text)?;
        pattern.format(time, out);
        Some(())
    })
}

/// As [`parse_args`], but a number is no moment.
fn moment_args(name: &str, given: &[DataType]) -> Result<Vec<DataType>> {
    if let [t] = given
        && !(is_text(t) || *t == DataType::Null || matches!(t, DataType::Date32 | DataType::Timestamp(..)))
    {
        return plan_err!("{name}() takes a text, a date or a timestamp, not {}", spark_name(t));
    }
    parse_args(given)
}

fn parse_args(given: &[DataType]) -> Result<Vec<DataType>> {
    match given {
        [t] => Ok(vec![if is_text(t) { DataType::Utf8View } else { t.clone() }]),
        [t, _] => Ok(vec![if t.is_temporal() { t.clone() } else { DataType::Utf8View }, DataType::Utf8View]),
        _ => plan_err!("a text and perhaps a pattern are needed, not {} arguments", given.len()),
    }
}

/// The timestamps that texts hold, by CAST's rules or a pattern; of dates and timestamps themselves.
fn parsed(args: &[ArrayRef], t: &DataType) -> Result<ArrayRef> {
    if args.len() == 1 || args[0].data_type() != &DataType::Utf8View {
        return cast_column(&args[0], t);
    }
    let (compiled, texts, by) = (patterns(&args[1])?, strings(&args[0]), strings(&args[1]));
    numbers::<TimestampMicrosecondType>(texts.len(), t, |i| {
        let (text, by) = (texts.at(i)?, by.at(i)?);
        compiled.iter().find(|(known, _)| known == by)?.1.parse(text)
    })
}

fn convert_args(given: &[DataType]) -> Result<Vec<DataType>> {
    if !(2..=3).contains(&given.len()) {
        return plan_err!("zones and a timestamp are needed, not {} arguments", given.len());
    }
    let time = given[given.len() - 1..].iter().map(|t| Time.coerce(t, "convert_timezone"));
    given[..given.len() - 1].iter().map(|t| Text.coerce(t, "convert_timezone")).chain(time).collect()
}

fn at_zone(_: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    check_zones(&constants[1..])?;
    Ok(timestamp())
}

fn converted(_: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    check_zones(&constants[..constants.len() - 1])?;
    Ok(timestamp_ntz())
}

fn made(_: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    check_zones(&constants[6..])?;
    Ok(timestamp())
}

/// Zones that the query names must be known; of those in events the unknown ones make nulls.
fn check_zones(constants: &[Option<&ScalarValue>]) -> Result<()> {
    let mut zones = constants.iter().filter_map(|constant| (*constant)?.try_as_str().flatten());
    match zones.find(|zone| zone_offset(zone, 0).is_none()) {
        Some(zone) => plan_err!("there is no time zone {zone}"),
        None => Ok(()),
    }
}

fn make_args(given: &[DataType]) -> Result<Vec<DataType>> {
    if !(6..=7).contains(&given.len()) {
        return plan_err!("year, month, day, hour, minute and seconds are needed, not {} arguments", given.len());
    }
    let mut wanted = vec![DataType::Int32; 5];
    wanted.push(DataType::Decimal128(16, 6));
    wanted.resize(given.len(), DataType::Utf8View);
    Ok(wanted)
}

fn make_timestamp(args: &[ArrayRef], t: &DataType) -> Result<ArrayRef> {
    use arrow::array::AsArray;
    let parts: Vec<_> = args[..5].iter().map(ints).collect();
    let seconds = args[5].as_primitive::<Decimal128Type>();
    numbers::<TimestampMicrosecondType>(seconds.len(), t, |i| {
        let date = date_of(parts[0].at(i)?, parts[1].at(i)?, parts[2].at(i)?)?;
        let (hour, minute, micros) = (parts[3].at(i)?, parts[4].at(i)?, i64::try_from(seconds.at(i)?).ok()?);
        // 60 seconds, without a fraction, are the next minute.
        if !(0..24).contains(&hour) || !(0..60).contains(&minute) || !(0..=60 * SECOND).contains(&micros) {
            return None;
        }
        let local = i64::from(days_of(date)) * DAY + i64::from(hour * 60 + minute) * 60 * SECOND + micros;
        match args.get(6) {
            Some(zones) => Some(local - zone_offset(strings(zones).at(i)?, local)? * SECOND),
            None => Some(local),
        }
    })
}

/// Seconds that the clock of a zone is ahead at a moment in UTC.
fn offset_at(zone: &str, utc: i64) -> Option<i64> {
    use chrono::{Offset, TimeZone};
    let zone = long_zone(zone);
    let region: Option<arrow::array::timezone::Tz> = if zone.contains('/') { zone.parse().ok() } else { None };
    match region {
        Some(region) => Some(region.offset_from_utc_datetime(&clock(utc)?).fix().local_minus_utc().into()),
        None => zone_offset(zone, utc),
    }
}

fn zoned(args: &[ArrayRef], t: &DataType, from_utc: bool) -> Result<ArrayRef> {
    let (times, zones) = (times(&args[0]), strings(&args[1]));
    numbers::<TimestampMicrosecondType>(times.len(), t, |i| {
        let (time, zone) = (times.at(i)?, zones.at(i)?);
        Some(if from_utc { time + offset_at(zone, time)? * SECOND } else { time - zone_offset(zone, time)? * SECOND })
    })
}

/// The field that a constant names, lower case.
fn field_of(constant: Option<&ScalarValue>) -> Result<String> {
    let Some(name) = constant.and_then(|c| c.try_as_str().flatten()) else {
        return plan_err!("the field of date_part() must be a constant text");
    };
    Ok(name.to_ascii_lowercase())
}

fn part_args(given: &[DataType]) -> Result<Vec<DataType>> {
    match given {
        [field, DataType::Duration(_)] => Ok(vec![field.clone(), DataType::Duration(TimeUnit::Microsecond)]),
        [field, t] if is_text(t) => Ok(vec![field.clone(), timestamp()]),
        [_, DataType::Null | DataType::Date32 | DataType::Timestamp(..)] => Ok(given.to_vec()),
        [_, t] => plan_err!("date_part() takes a date or timestamp, not {}", spark_name(t)),
        _ => plan_err!("date_part() takes 2 arguments, not {}", given.len()),
    }
}

fn part_type(given: &[DataType], constants: &[Option<&ScalarValue>]) -> Result<DataType> {
    let Some(Some(constant)) = constants.first() else { return Ok(DataType::Int32) };
    let field = field_of(Some(constant))?;
    let seconds = matches!(field.as_str(), "second" | "seconds" | "s" | "sec" | "secs");
    Ok(match given.get(1) {
        _ if seconds => DataType::Decimal128(8, 6),
        Some(DataType::Duration(_)) if !matches!(field.as_str(), "day" | "d" | "days") => DataType::Int8,
        _ => DataType::Int32,
    })
}

/// A field of an interval, with its sign.
fn duration_part(args: &[ArrayRef], field: &str, t: &DataType) -> Result<ArrayRef> {
    use arrow::array::AsArray;
    let times = args[1].as_primitive::<DurationMicrosecondType>();
    let part = |unit: i64, within: i64| move |micros: i64| micros / unit % within;
    let part: Box<dyn Fn(i64) -> i64> = match field {
        "day" | "d" | "days" => Box::new(|micros| micros / DAY),
        "hour" | "h" | "hours" | "hr" | "hrs" => Box::new(part(3600 * SECOND, 24)),
        "minute" | "m" | "min" | "mins" | "minutes" => Box::new(part(60 * SECOND, 60)),
        "second" | "seconds" | "s" | "sec" | "secs" => Box::new(|micros| micros % (60 * SECOND)),
        other => return plan_err!("intervals of time have no field '{other}'"),
    };
    match t {
        DataType::Decimal128(..) => numbers::<Decimal128Type>(times.len(), t, |i| times.at(i).map(|v| part(v).into())),
        DataType::Int8 => numbers::<Int8Type>(times.len(), t, |i| times.at(i).map(|v| part(v) as i8)),
        _ => numbers::<Int32Type>(times.len(), t, |i| times.at(i).map(|v| part(v) as i32)),
    }
}

fn date_part(args: &[ArrayRef], t: &DataType) -> Result<ArrayRef> {
    let fields = cast_column(&args[0], &DataType::Utf8View)?;
    let fields = strings(&fields);
    let Some(field) = (0..fields.len()).find_map(|i| fields.at(i)) else {
        return Ok(arrow::array::new_null_array(t, args[0].len()));
    };
    let field = field.to_ascii_lowercase();
    if matches!(args[1].data_type(), DataType::Duration(_)) {
        return duration_part(args, &field, t);
    }
    let moments = cast_column(&args[1], &timestamp())?;
    let moments = times(&moments);
    if let DataType::Decimal128(p, s) = t {
        return numbers::<Decimal128Type>(moments.len(), t, |i| {
            parse_decimal(&format!("{}e-6", moments.at(i)?.rem_euclid(60 * SECOND)), *p, *s)
        });
    }
    let part: fn(NaiveDateTime) -> i32 = match field.as_str() {
        "year" | "y" | "years" | "yr" | "yrs" => |t| t.year(),
        "yearofweek" => |t| t.iso_week().year(),
        "quarter" | "qtr" => |t| t.month0() as i32 / 3 + 1,
        "month" | "mon" | "mons" | "months" => |t| t.month() as i32,
        "week" | "w" | "weeks" => |t| t.iso_week().week() as i32,
        "day" | "d" | "days" => |t| t.day() as i32,
        "dayofweek" | "dow" => |t| t.weekday().number_from_sunday() as i32,
        "dayofweek_iso" | "dow_iso" => |t| t.weekday().number_from_monday() as i32,
        "doy" => |t| t.ordinal() as i32,
        "hour" | "h" | "hours" | "hr" | "hrs" => |t| t.hour() as i32,
        "minute" | "m" | "min" | "mins" | "minutes" => |t| t.minute() as i32,
        other => return plan_err!("dates have no field '{other}'"),
    };
    numbers::<Int32Type>(moments.len(), t, |i| clock(moments.at(i)?).map(part))
}
