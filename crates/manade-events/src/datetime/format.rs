//! A moment to text, by a pattern, in UTC.

use std::fmt::Write as _;

use super::calendar::{MICROS_PER_DAY, MICROS_PER_SECOND, civil, days};
use super::{Field, Item, Sign, names};

struct Moment {
    days: i64,
    year: i64,
    month: u32,
    day: u32,
    /// Of the day.
    seconds: i64,
    micros: i64,
}

pub(super) fn format(items: &[Item], us: i64, out: &mut String) {
    let days = us.div_euclid(MICROS_PER_DAY);
    let time = us.rem_euclid(MICROS_PER_DAY);
    let (year, month, day) = civil(days);
    let moment = Moment { days, year, month, day, seconds: time / MICROS_PER_SECOND, micros: time % MICROS_PER_SECOND };
    sequence(items, &moment, out);
}

fn sequence(items: &[Item], moment: &Moment, out: &mut String) {
    for item in items {
        match item {
            Item::Literal(text) => out.push_str(text),
            Item::Number { field, min, sign, .. } => {
                let value = moment.value(*field);
                if *sign == Sign::ExceedsPad && value.checked_ilog10().unwrap_or(0) as usize >= *min {
                    out.push('+');
                }
                push(out, value, *min);
            }
            Item::ShortYear => push(out, moment.value(Field::YearOfEra) % 100, 2),
            Item::Fraction(digits) => {
                let nanos = format!("{:06}000", moment.micros);
                out.push_str(&nanos[..*digits]);
            }
            Item::Text { field, full } => out.push_str(names::name(*field, moment.value(*field), *full)),
            Item::Offset { zero, .. } => out.push_str(zero),
            Item::LocalizedOffset { .. } => out.push_str("GMT"),
            Item::Zone { full } => out.push_str(if *full { "Coordinated Universal Time" } else { "UTC" }),
            Item::Optional(items) => sequence(items, moment, out),
        }
    }
}

fn push(out: &mut String, value: i64, width: usize) {
    write!(out, "{value:0width$}").expect("writing to a string does not fail");
}

impl Moment {
    fn value(&self, field: Field) -> i64 {
        let hour = self.seconds / 3600;
        match field {
            Field::Era => i64::from(self.year > 0),
            Field::YearOfEra if self.year > 0 => self.year,
            Field::YearOfEra => 1 - self.year,
            Field::Month => i64::from(self.month),
            Field::Day => i64::from(self.day),
            Field::DayOfYear => self.days - days(self.year, 1, 1).unwrap_or(self.days) + 1,
            Field::Quarter => i64::from(self.month - 1) / 3 + 1,
            // 1970-01-01 was a Thursday.
            Field::Weekday => (self.days + 3).rem_euclid(7) + 1,
            Field::AlignedWeekday => i64::from(self.day - 1) % 7 + 1,
            Field::AmPm => hour / 12,
            Field::ClockHourOfAmPm => (hour + 11) % 12 + 1,
            Field::HourOfAmPm => hour % 12,
            Field::ClockHour => (hour + 23) % 24 + 1,
            Field::Hour => hour,
            Field::Minute => self.seconds / 60 % 60,
            Field::Second => self.seconds % 60,
        }
    }
}
