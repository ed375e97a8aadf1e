//! Text to a moment, by a pattern (`java.time.format.DateTimeFormatter` in strict mode, then Spark's defaults).

use super::calendar::{MICROS_PER_DAY, MICROS_PER_SECOND, days, is_leap, month_length};
use super::zone::{FARTHEST, Zone};
use super::{Field, Item, OffsetStyle, Sign, names};

/// What has been read so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Parts {
    /// By [`Field`].
    fields: [Option<i64>; 15],
    /// Of years that were written with two digits.
    year: Option<i64>,
    micros: Option<i64>,
    zone: Option<Zone>,
}

pub(super) fn parse(items: &[Item], text: &str) -> Option<i64> {
    let parts = all(items, text)?;
    parts.zone.unwrap_or(Zone::UTC).to_utc(parts.local()?)
}

pub(super) fn parse_local(items: &[Item], text: &str) -> Option<i64> {
    let parts = all(items, text)?;
    if parts.zone.is_some() { None } else { parts.local() }
}

fn all(items: &[Item], text: &str) -> Option<Parts> {
    let mut parts = Parts::default();
    let end = sequence(items, text, 0, &mut parts)?;
    (end == text.len()).then_some(parts)
}

/// A field that no date or time has.
struct OutOfRange;

/// Where the items' text ends.
fn sequence(items: &[Item], text: &str, mut i: usize, parts: &mut Parts) -> Option<usize> {
    for item in items {
        i = one(item, text, i, parts)?;
    }
    Some(i)
}

fn one(item: &Item, text: &str, i: usize, parts: &mut Parts) -> Option<usize> {
    let rest = &text.as_bytes()[i..];
    match item {
        Item::Literal(literal) => {
            let there = text.get(i..i + literal.len())?;
            let same = there == literal || there.to_lowercase() == literal.to_lowercase();
            same.then_some(i + literal.len())
        }
        Item::Number { field, min, max, sign, reserved } => {
            let (value, len) = number(rest, (*min, *max), *sign, *reserved)?;
            parts.set(*field, value)?;
            Some(i + len)
        }
        Item::ShortYear => {
            let (value, len) = number(rest, (2, 2), Sign::Never, 0)?;
            let year = 2000 + value;
            if parts.year.is_some_and(|before| before != year) {
                return None;
            }
            parts.year = Some(year);
            Some(i + len)
        }
        Item::Fraction(most) => {
            let len = rest.iter().take(*most).take_while(|byte| byte.is_ascii_digit()).count();
            if len == 0 {
                return None;
            }
            let digits = rest[..len].iter().chain(std::iter::repeat(&b'0')).take(6);
            let micros = digits.fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
            if parts.micros.is_some_and(|before| before != micros) {
                return None;
            }
            parts.micros = Some(micros);
            Some(i + len)
        }
        Item::Text { field, full } => {
            let starts = |name: &str| text.get(i..i + name.len()).is_some_and(|there| there.eq_ignore_ascii_case(name));
            let value = names::values(*field).find(|value| starts(names::name(*field, *value, *full)))?;
            parts.set(*field, value)?;
            Some(i + names::name(*field, value, *full).len())
        }
        Item::Offset { style, zero } => {
            let (seconds, len) = offset(rest, *style, zero)?;
            parts.set_zone(Zone::Offset(seconds))?;
            Some(i + len)
        }
        Item::LocalizedOffset { full } => {
            let (seconds, len) = localized_offset(rest, *full)?;
            parts.set_zone(Zone::Offset(seconds))?;
            Some(i + len)
        }
        Item::Zone { .. } => {
            let (zone, len) = zone(&text[i..])?;
            parts.set_zone(zone)?;
            Some(i + len)
        }
        Item::Optional(items) => {
            let mut tried = *parts;
            Some(match sequence(items, text, i, &mut tried) {
                Some(end) => {
                    *parts = tried;
                    end
                }
                None => i,
            })
        }
    }
}

/// `NumberPrinterParser.parse` in strict mode: the value and the length of its text.
fn number(b: &[u8], width: (usize, usize), sign: Sign, reserved: usize) -> Option<(i64, usize)> {
    let (min, max) = width;
    let (plus, minus) = (b.first() == Some(&b'+'), b.first() == Some(&b'-'));
    if (plus && sign != Sign::ExceedsPad) || (minus && sign == Sign::Never) {
        return None;
    }
    let b = &b[usize::from(plus || minus)..];
    let mut len = b.iter().take(max + reserved).take_while(|byte| byte.is_ascii_digit()).count();
    if reserved > 0 {
        len = len.min(min.max(len.saturating_sub(reserved)));
    }
    if len < min || len > 18 {
        return None;
    }
    let value = b[..len].iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
    let padded = match sign {
        Sign::ExceedsPad if plus => len > min,
        Sign::ExceedsPad if !minus => len <= min,
        _ => !(minus && value == 0),
    };
    padded.then_some((if minus { -value } else { value }, len + usize::from(plus || minus)))
}

/// Seconds, and the length of their text.
fn offset(b: &[u8], style: OffsetStyle, zero: &str) -> Option<(i32, usize)> {
    let negative = match b.first() {
        Some(b'+') => false,
        Some(b'-') => true,
        _ => return b.get(..zero.len())?.eq_ignore_ascii_case(zero.as_bytes()).then_some((0, zero.len())),
    };
    let two = |i: usize| {
        let digits = b.get(i..i + 2)?;
        digits.iter().all(u8::is_ascii_digit).then(|| i32::from(digits[0] - b'0') * 10 + i32::from(digits[1] - b'0'))
    };
    // The place behind a part that starts at `i`, and the part.
    let part = |i: usize| {
        let digits = i + usize::from(style.colon);
        let separated = !style.colon || b.get(i) == Some(&b':');
        two(digits).filter(|value| separated && *value < 60).map(|value| (value, digits + 2))
    };
    let hours = two(1)?;
    let (mut seconds, mut end) = (hours * 3600, 3);
    match part(3) {
        Some((minutes, behind)) => {
            (seconds, end) = (seconds + minutes * 60, behind);
            if let Some((rest, behind)) = part(end).filter(|_| style.seconds) {
                (seconds, end) = (seconds + rest, behind);
            }
        }
        None if style.short => {}
        None => return None,
    }
    (seconds <= FARTHEST).then_some((if negative { -seconds } else { seconds }, end))
}

fn localized_offset(b: &[u8], full: bool) -> Option<(i32, usize)> {
    if !b.get(..3)?.eq_ignore_ascii_case(b"GMT") {
        return None;
    }
    let rest = &b[3..];
    if !matches!(rest.first(), Some(b'+' | b'-')) {
        return Some((0, 3));
    }
    let style = OffsetStyle { colon: true, short: !full, seconds: true };
    if let Some((seconds, len)) = offset(rest, style, "Z") {
        return Some((seconds, 3 + len));
    }
    if full {
        return None;
    }
    // One digit for the hours.
    let padded = [&rest[..1], b"0", &rest[1..]].concat();
    offset(&padded, style, "Z").map(|(seconds, len)| (seconds, 3 + len - 1))
}

/// The longest zone that the text begins with.
fn zone(text: &str) -> Option<(Zone, usize)> {
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"/_+-:".contains(&byte);
    let longest = text.bytes().take(40).take_while(|byte| in_name(*byte)).count();
    (1..=longest).rev().find_map(|len| Some((Zone::named(&text[..len]).or_else(|| daylight(&text[..len]))?, len)))
}

/// Short names of daylight saving times, which Java reads as their regions.
fn daylight(name: &str) -> Option<Zone> {
    Zone::named(match name {
        "EDT" => "America/New_York",
        "CDT" => "America/Chicago",
        "MDT" => "America/Denver",
        "PDT" => "America/Los_Angeles",
        "CEST" => "Europe/Paris",
        "EEST" => "Europe/Bucharest",
        "WEST" => "Europe/Lisbon",
        _ => return None,
    })
}

impl Parts {
    /// `None`: it was something else before.
    fn set(&mut self, field: Field, value: i64) -> Option<()> {
        let slot = &mut self.fields[field as usize];
        (*slot.get_or_insert(value) == value).then_some(())
    }

    fn set_zone(&mut self, zone: Zone) -> Option<()> {
        (*self.zone.get_or_insert(zone) == zone).then_some(())
    }

    fn get(&self, field: Field) -> Option<i64> {
        self.fields[field as usize]
    }

    fn within(&self, field: Field, range: std::ops::RangeInclusive<i64>) -> Result<Option<i64>, OutOfRange> {
        match self.get(field) {
            Some(value) if !range.contains(&value) => Err(OutOfRange),
            value => Ok(value),
        }
    }

    /// The wall-clock time.
    fn local(&self) -> Option<i64> {
        self.day()?.checked_mul(MICROS_PER_DAY)?.checked_add(self.time()?)
    }

    fn day(&self) -> Option<i64> {
        let year_of_era = self.within(Field::YearOfEra, 1..=999_999_999).ok()?;
        let year = match (self.year, year_of_era) {
            (Some(year), Some(of_era)) if year != of_era => return None,
            (Some(year), _) => year,
            (None, Some(of_era)) if self.get(Field::Era) == Some(0) => 1 - of_era,
            (None, Some(of_era)) => of_era,
            (None, None) => 1970,
        };
        let month = self.within(Field::Month, 1..=12).ok()?;
        let day = self.within(Field::Day, 1..=31).ok()?;
        let length = if is_leap(year) { 366 } else { 365 };
        if let Some(day_of_year) = self.within(Field::DayOfYear, 1..=length).ok()? {
            let date = days(year, 1, 1)? + day_of_year - 1;
            let (_, of_month, of_day) = super::calendar::civil(date);
            let same = month.is_none_or(|month| month == i64::from(of_month))
                && day.is_none_or(|day| day == i64::from(of_day));
            return same.then_some(date);
        }
        let (month, day) = (month.unwrap_or(1) as u32, day.unwrap_or(1) as u32);
        if day > month_length(year, month) { None } else { days(year, month, day) }
    }

    fn time(&self) -> Option<i64> {
        let half = self.get(Field::AmPm);
        let of_half = match self.within(Field::ClockHourOfAmPm, 1..=12).ok()? {
            Some(hour) => Some(hour % 12),
            None => self.within(Field::HourOfAmPm, 0..=11).ok()?,
        };
        let of_day = match self.within(Field::ClockHour, 1..=24).ok()? {
            Some(hour) => Some(hour % 24),
            None => self.within(Field::Hour, 0..=23).ok()?,
        };
        let hour = match (of_day, of_half) {
            (Some(hour), _) if half.is_some_and(|half| half != hour / 12) => return None,
            (Some(hour), Some(of_half)) if hour % 12 != of_half => return None,
            (Some(hour), _) => hour,
            (None, of_half) => of_half.unwrap_or(0) + 12 * half.unwrap_or(0),
        };
        let minute = self.within(Field::Minute, 0..=59).ok()?.unwrap_or(0);
        let second = self.within(Field::Second, 0..=59).ok()?.unwrap_or(0);
        Some((hour * 3600 + minute * 60 + second) * MICROS_PER_SECOND + self.micros.unwrap_or(0))
    }
}
