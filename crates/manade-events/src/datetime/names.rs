//! The English names of parts of a date.

use super::Field;

pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const QUARTERS: [(&str, &str); 4] =
    [("Q1", "1st quarter"), ("Q2", "2nd quarter"), ("Q3", "3rd quarter"), ("Q4", "4th quarter")];
const ERAS: [(&str, &str); 2] = [("BC", "Before Christ"), ("AD", "Anno Domini")];
const HALVES: [&str; 2] = ["AM", "PM"];

/// The values of a field that have names: months, weekdays and quarters from 1, eras and halves of the day from 0.
pub(super) fn values(field: Field) -> std::ops::Range<i64> {
    match field {
        Field::Month => 1..13,
        Field::Weekday => 1..8,
        Field::Quarter => 1..5,
        Field::Era | Field::AmPm => 0..2,
        _ => 0..0,
    }
}

pub(super) fn name(field: Field, value: i64, full: bool) -> &'static str {
    let index = (value - values(field).start) as usize;
    match field {
        Field::Month if full => MONTHS[index],
        Field::Month => &MONTHS[index][..3],
        Field::Weekday if full => WEEKDAYS[index],
        Field::Weekday => &WEEKDAYS[index][..3],
        Field::Quarter if full => QUARTERS[index].1,
        Field::Quarter => QUARTERS[index].0,
        Field::Era if full => ERAS[index].1,
        Field::Era => ERAS[index].0,
        _ => HALVES[index],
    }
}
