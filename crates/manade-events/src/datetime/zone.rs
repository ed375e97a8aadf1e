//! Time zones as Spark names them.

use chrono::{NaiveDateTime, Offset, TimeZone};

use super::calendar::MICROS_PER_SECOND;

/// A fixed offset east of UTC in seconds, or a region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Zone {
    Offset(i32),
    Region(chrono_tz::Tz),
}

/// The farthest offset that `java.time.ZoneOffset` has, in seconds.
pub(crate) const FARTHEST: i32 = 18 * 3600;

/// What Java's short names mean (`java.time.ZoneId.SHORT_IDS`), which differ from the tz database or are not in it; other
/// names as they are.
pub fn long_zone(name: &str) -> &str {
    match name {
        "ACT" => "Australia/Darwin",
        "AET" => "Australia/Sydney",
        "AGT" => "America/Argentina/Buenos_Aires",
        "ART" => "Africa/Cairo",
        "AST" => "America/Anchorage",
        "BET" => "America/Sao_Paulo",
        "BST" => "Asia/Dhaka",
        "CAT" => "Africa/Harare",
        "CNT" => "America/St_Johns",
        "CST" => "America/Chicago",
        "CTT" => "Asia/Shanghai",
        "EAT" => "Africa/Addis_Ababa",
        "ECT" => "Europe/Paris",
        "EST" => "-05:00",
        "HST" => "-10:00",
        "IET" => "America/Indiana/Indianapolis",
        "IST" => "Asia/Kolkata",
        "JST" => "Asia/Tokyo",
        "MIT" => "Pacific/Apia",
        "MST" => "-07:00",
        "NET" => "Asia/Yerevan",
        "NST" => "Pacific/Auckland",
        "PLT" => "Asia/Karachi",
        "PNT" => "America/Phoenix",
        "PRT" => "America/Puerto_Rico",
        "PST" => "America/Los_Angeles",
        "SST" => "Pacific/Guadalcanal",
        "VST" => "Asia/Ho_Chi_Minh",
        other => other,
    }
}

impl Zone {
    pub const UTC: Zone = Zone::Offset(0);

    /// As `java.time.ZoneId.of` with Spark's short names: `Z`, `+01:00`, `UTC+1`, `Europe/Paris`, `PST`. One digit for
    /// hours or minutes is enough.
    pub fn named(text: &str) -> Option<Zone> {
        let text = long_zone(text);
        if text == "Z" || matches!(text, "UTC" | "GMT" | "UT") {
            return Some(Zone::UTC);
        }
        let prefix = ["UTC", "GMT", "UT"].into_iter().find(|prefix| text.starts_with(prefix));
        let offset = prefix.map_or(text, |prefix| &text[prefix.len()..]);
        if offset.starts_with(['+', '-']) {
            return Self::offset(offset).map(Zone::Offset);
        }
        text.parse().ok().map(Zone::Region)
    }

    /// `+1`, `+01`, `+0130`, `+1:30`, `+01:30:15`; seconds east of UTC.
    fn offset(text: &str) -> Option<i32> {
        let sign = if text.starts_with('-') { -1 } else { 1 };
        let rest = &text[1..];
        let number = |text: &str| {
            let fits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
            if fits { text.parse::<i32>().ok() } else { None }
        };
        let parts: Vec<&str> = if rest.contains(':') {
            rest.split(':').collect()
        } else if rest.is_ascii() && rest.len() > 2 && rest.len().is_multiple_of(2) {
            (0..rest.len() / 2).map(|i| &rest[2 * i..2 * i + 2]).collect()
        } else {
            vec![rest]
        };
        let mut seconds = 0;
        for (index, part) in parts.iter().enumerate() {
            let value = number(part)?;
            let (unit, most) = *[(3600, 18), (60, 59), (1, 59)].get(index)?;
            if value > most {
                return None;
            }
            seconds += value * unit;
        }
        (seconds <= FARTHEST).then_some(sign * seconds)
    }

    /// The moment of a wall-clock time, both in microseconds. In an overlap the earlier one, in a gap moved by its
    /// length, as `java.time.ZonedDateTime.of`.
    pub fn to_utc(self, local: i64) -> Option<i64> {
        let offset = match self {
            Zone::Offset(seconds) => i64::from(seconds),
            Zone::Region(zone) => {
                let time = wall_clock(local)?;
                let before = || {
                    let earlier = wall_clock(local - 86_400 * MICROS_PER_SECOND)?;
                    zone.offset_from_local_datetime(&earlier).earliest()
                };
                let offset = zone.offset_from_local_datetime(&time).earliest().or_else(before)?;
                i64::from(offset.fix().local_minus_utc())
            }
        };
        local.checked_sub(offset * MICROS_PER_SECOND)
    }
}

fn wall_clock(micros: i64) -> Option<NaiveDateTime> {
    chrono::DateTime::from_timestamp_micros(micros).map(|time| time.naive_utc())
}
