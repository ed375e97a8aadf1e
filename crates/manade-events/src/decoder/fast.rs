//! The fast way: from bytes straight to columns. It gives up on whatever is unusual, and leaves a half-written row
//! behind, which the caller takes back.

use super::column::{Column, Lists, Maps, Plain, Structs};
use super::convert::{Sink, Unfit};
use super::keys::Last;
use super::shape::TimeReader;
use crate::json::MAX_DEPTH;
use crate::scan::{
    Fault, byte, check_behind, key_start, next_element, next_member, number_end, skip_space, string_end, value_end,
    value_start, word_end,
};

/// The record is not plain: the slow way decides.
pub(crate) struct GiveUp;

impl From<Fault> for GiveUp {
    fn from(_: Fault) -> Self {
        Self
    }
}

impl From<Unfit> for GiveUp {
    fn from(_: Unfit) -> Self {
        Self
    }
}

/// A map with more keys is left to the slow way, which finds duplicates without comparing all pairs.
const SMALL_MAP: usize = 16;

struct Reader<'a> {
    text: &'a str,
    b: &'a [u8],
    /// Where the record stands in the chunk.
    base: u32,
    sink: &'a mut Sink,
}

/// One event as a row of `row`.
#[inline]
pub(crate) fn read(text: &str, base: u32, row: &mut Structs, sink: &mut Sink) -> Result<(), GiveUp> {
    let mut reader = Reader { text, b: text.as_bytes(), base, sink };
    let start = skip_space(reader.b, 0);
    if byte(reader.b, start) != b'{' {
        return Err(GiveUp);
    }
    let end = reader.members(row, start + 1, 1)?;
    if end != reader.b.len() {
        check_behind(reader.b, end)?;
    }
    Ok(())
}

impl Reader<'_> {
    /// From behind the opening brace to behind the closing one. `depth`: of this object.
    fn members(&mut self, structs: &mut Structs, start: usize, depth: usize) -> Result<usize, GiveUp> {
        let b = self.b;
        let row = structs.len;
        let Structs { columns, members, keys, .. } = structs;
        let mut i = if byte(b, start) == b'"' { start } else { skip_space(b, start) };
        if byte(b, i) == b'}' {
            structs.end_row();
            return Ok(i + 1);
        }
        let mut last = Last::NONE;
        loop {
            let Some(key) = keys.find(b, key_start(b, i)?, last, members)? else { return Err(GiveUp) };
            last = key.last;
            i = value_start(b, key.end)?;
            match key.member {
                None => i = value_end(b, i, depth)?,
                Some(member) => {
                    let column = &mut columns[member];
                    // A duplicate key.
                    if column.len() != row {
                        return Err(GiveUp);
                    }
                    i = self.value(column, i, depth)?;
                }
            }
            match next_member(b, i)? {
                (end, true) => {
                    structs.end_row();
                    return Ok(end);
                }
                (next, false) => i = next,
            }
        }
    }

    /// From a value's first byte to behind its last. `depth`: of the object or array around it.
    #[inline]
    fn value(&mut self, column: &mut Column, i: usize, depth: usize) -> Result<usize, GiveUp> {
        match byte(self.b, i) {
            b'"' => {
                let (end, escaped) = string_end(self.b, i + 1)?;
                if escaped {
                    return Err(GiveUp);
                }
                column.push_text(&self.text[i + 1..end], Some(self.base + i as u32 + 1), self.sink)?;
                Ok(end + 1)
            }
            b'-' | b'0'..=b'9' => self.number(column, i),
            b'{' | b'[' => self.nested(column, i, depth + 1),
            first => {
                let end = word_end(self.b, i)?;
                if first == b'n' {
                    column.push_null();
                } else {
                    column.push_bool(first == b't', Some(self.base + i as u32), self.sink)?;
                }
                Ok(end)
            }
        }
    }

    #[inline]
    fn number(&mut self, column: &mut Column, i: usize) -> Result<usize, GiveUp> {
        match column {
            Column::Long(plain) => self.whole(plain, i),
            Column::Int(plain) => self.whole(plain, i),
            Column::Short(plain) => self.whole(plain, i),
            Column::Byte(plain) => self.whole(plain, i),
            Column::Double(plain) => self.double(plain, i),
            Column::Timestamp(plain, TimeReader::Epoch { digits }, _) => self.epoch(plain, i, *digits),
            _ => {
                let (end, _) = number_end(self.b, i)?;
                column.push_number(&self.text[i..end], Some(self.base + i as u32), self.sink)?;
                Ok(end)
            }
        }
    }

    #[inline]
    fn whole<T: TryFrom<i64> + Default>(&mut self, plain: &mut Plain<T>, i: usize) -> Result<usize, GiveUp> {
        let Digits { value, negative, end } = digits(self.b, i)?;
        if matches!(byte(self.b, end), b'.' | b'e' | b'E') {
            return Err(GiveUp);
        }
        let value = if negative { -value } else { value };
        plain.push(T::try_from(value).map_err(|_| GiveUp)?);
        Ok(end)
    }

    /// Whole numbers are the rule.
    #[inline]
    fn epoch(&mut self, plain: &mut Plain<i64>, i: usize, per_second: u8) -> Result<usize, GiveUp> {
        let Digits { value, negative, end } = digits(self.b, i)?;
        if matches!(byte(self.b, end), b'.' | b'e' | b'E') {
            return Err(GiveUp);
        }
        let micros = value.checked_mul(10_i64.pow(6 - u32::from(per_second))).ok_or(GiveUp)?;
        plain.push(if negative { -micros } else { micros });
        Ok(end)
    }

    /// Where digits and exponent are small, a double is one exact division away (Clinger, "How to read floating point
    /// numbers accurately", 1990).
    #[inline]
    fn double(&mut self, plain: &mut Plain<f64>, i: usize) -> Result<usize, GiveUp> {
        let (end, _) = number_end(self.b, i)?;
        let text = &self.text[i..end];
        plain.push(exact_double(text.as_bytes()).or_else(|| text.parse().ok()).ok_or(GiveUp)?);
        Ok(end)
    }

    fn nested(&mut self, column: &mut Column, i: usize, depth: usize) -> Result<usize, GiveUp> {
        if depth > MAX_DEPTH {
            return Err(GiveUp);
        }
        match (column, self.b[i]) {
            (Column::Struct(structs), b'{') => self.members(structs, i + 1, depth),
            (Column::Map(maps), b'{') => self.entries(maps, i, depth),
            (Column::Array(lists), b'[') => self.elements(lists, i, depth),
            // Spark gives a string column the text of the value, as written.
            (Column::String(plain), _) => {
                let end = value_end(self.b, i, depth - 1)?;
                plain.push(self.sink.text(&self.text[i..end], Some(self.base + i as u32)));
                Ok(end)
            }
            _ => Err(GiveUp),
        }
    }

    fn elements(&mut self, lists: &mut Lists, i: usize, depth: usize) -> Result<usize, GiveUp> {
        let mut i = skip_space(self.b, i + 1);
        if byte(self.b, i) == b']' {
            lists.end_row();
            return Ok(i + 1);
        }
        loop {
            i = self.value(&mut lists.elements, i, depth)?;
            match next_element(self.b, i)? {
                (end, true) => {
                    lists.end_row();
                    return Ok(end);
                }
                (next, false) => i = next,
            }
        }
    }

    fn entries(&mut self, maps: &mut Maps, i: usize, depth: usize) -> Result<usize, GiveUp> {
        let mut i = skip_space(self.b, i + 1);
        if byte(self.b, i) == b'}' {
            maps.end_row();
            return Ok(i + 1);
        }
        let mut seen: Vec<&str> = Vec::new();
        let text = self.text;
        loop {
            let start = key_start(self.b, i)?;
            let (end, escaped) = string_end(self.b, start)?;
            let key = &text[start..end];
            if escaped || seen.len() == SMALL_MAP || seen.contains(&key) {
                return Err(GiveUp);
            }
            seen.push(key);
            maps.keys.push(self.sink.text(key, Some(self.base + start as u32)));
            i = self.value(&mut maps.values, value_start(self.b, end + 1)?, depth)?;
            match next_member(self.b, i)? {
                (end, true) => {
                    maps.end_row();
                    return Ok(end);
                }
                (next, false) => i = next,
            }
        }
    }
}

struct Digits {
    value: i64,
    negative: bool,
    end: usize,
}

/// The whole part of a number, where it has at most 18 digits.
#[inline]
fn digits(b: &[u8], start: usize) -> Result<Digits, GiveUp> {
    let negative = byte(b, start) == b'-';
    let first = start + usize::from(negative);
    let mut i = first;
    let mut value: i64 = 0;
    loop {
        let digit = byte(b, i).wrapping_sub(b'0');
        if digit > 9 {
            break;
        }
        value = value.wrapping_mul(10).wrapping_add(i64::from(digit));
        i += 1;
    }
    let len = i - first;
    if len == 0 || len > 18 || (len > 1 && b[first] == b'0') {
        return Err(GiveUp);
    }
    Ok(Digits { value, negative, end: i })
}

/// `None`: not one of the simple cases. `number`: checked.
#[inline]
fn exact_double(number: &[u8]) -> Option<f64> {
    const POWERS: [f64; 19] =
        [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];
    if number.len() > 17 {
        return None;
    }
    let unsigned = number.strip_prefix(b"-").unwrap_or(number);
    let mut mantissa: u64 = 0;
    let mut point = None;
    for (i, byte) in unsigned.iter().enumerate() {
        match byte {
            b'.' => point = Some(i),
            b'0'..=b'9' => mantissa = mantissa * 10 + u64::from(byte - b'0'),
            _ => return None,
        }
    }
    if mantissa > 1 << 53 {
        return None;
    }
    let behind = point.map_or(0, |point| unsigned.len() - point - 1);
    let value = mantissa as f64 / POWERS[behind];
    // Java reads the whole number -0 as the integer 0.
    let negative = unsigned.len() < number.len() && (mantissa > 0 || point.is_some());
    Some(if negative { -value } else { value })
}
