//! Scalars of JSON as column values, as Spark's JSON reader takes them.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::column::{Column, Plain};
use super::number::{decimal, epoch_micros, java_double};
use super::shape::TimeReader;
use crate::datetime::iso;

/// Why a value does not fit its column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfit {
    /// Another kind of value.
    Type,
    /// The right kind, but too large.
    Range,
    /// A number, where the timestamp needs a format that says what it counts.
    NeedsEpoch,
    /// A number, which a date cannot be.
    NoNumber,
}

/// Where strings go that do not stand literally in the chunk, and how lenient values are read.
#[derive(Debug)]
pub(crate) struct Sink {
    pub coerce: bool,
    /// The views' second buffer.
    pub extra: Vec<u8>,
}

/// As Jackson reads it: padded, whatever the bits are that the last character has too many.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);

const MICROS_PER_DAY: i64 = 86_400_000_000;

impl Sink {
    /// A view of `bytes`, which stand at `at` in the chunk, or are kept here.
    #[inline]
    pub fn view(&mut self, bytes: &[u8], at: Option<u32>) -> u128 {
        let len = bytes.len() as u128;
        if let Some(bytes) = bytes.first_chunk::<4>().filter(|_| len > 12) {
            let (buffer, offset) = at.map_or((1, self.extra.len() as u32), |at| (0, at));
            return len
                | u128::from(u32::from_le_bytes(*bytes)) << 32
                | u128::from(buffer as u32) << 64
                | u128::from(offset) << 96;
        }
        let mut inline = [0; 16];
        inline[4..4 + bytes.len()].copy_from_slice(bytes);
        u128::from_le_bytes(inline) | len
    }

    /// A view of `bytes`, which are kept here if the view does not hold them.
    fn keep(&mut self, bytes: &[u8]) -> u128 {
        let view = self.view(bytes, None);
        if bytes.len() > 12 {
            self.extra.extend_from_slice(bytes);
        }
        view
    }

    #[inline]
    pub fn text(&mut self, text: &str, at: Option<u32>) -> u128 {
        if at.is_some() { self.view(text.as_bytes(), at) } else { self.keep(text.as_bytes()) }
    }
}

impl Column {
    /// A JSON string. `at`: where its text stands literally in the chunk.
    #[inline]
    pub fn push_text(&mut self, text: &str, at: Option<u32>, sink: &mut Sink) -> Result<(), Unfit> {
        if let Column::String(plain) = self {
            plain.push(sink.text(text, at));
            return Ok(());
        }
        self.push_text_as_other(text, sink)
    }

    fn push_text_as_other(&mut self, text: &str, sink: &mut Sink) -> Result<(), Unfit> {
        match self {
            Column::Binary(plain) => {
                let bytes = BASE64.decode(text.trim_ascii()).map_err(|_| Unfit::Type)?;
                plain.push(sink.keep(&bytes));
            }
            // What is no date may be days since the epoch, as Spark 1.5 wrote them.
            Column::Date(plain, TimeReader::Iso) => {
                plain.push(iso::date(text).or_else(|| text.parse().ok()).ok_or(Unfit::Type)?);
            }
            Column::Date(plain, TimeReader::Pattern(pattern)) => {
                let micros = pattern.parse(text).ok_or(Unfit::Type)?;
                plain.push(micros.div_euclid(MICROS_PER_DAY) as i32);
            }
            Column::Timestamp(plain, TimeReader::Iso, local) => {
                let micros = if *local { iso::local_timestamp(text) } else { iso::timestamp(text) };
                plain.push(micros.ok_or(Unfit::Type)?);
            }
            Column::Timestamp(plain, TimeReader::Pattern(pattern), local) => {
                let micros = if *local { pattern.parse_local(text) } else { pattern.parse(text) };
                plain.push(micros.ok_or(Unfit::Type)?);
            }
            // Spark's decimal parser in the locale en_US: digits may be grouped by commas.
            Column::Decimal(plain, precision, scale) => {
                let text = text.replace(',', "");
                push_decimal(plain, &text, *precision, *scale)?;
            }
            Column::Float(plain) if !sink.coerce => plain.push(special_float(text).ok_or(Unfit::Type)? as f32),
            Column::Double(plain) if !sink.coerce => plain.push(special_float(text).ok_or(Unfit::Type)?),
            Column::Float(plain) => plain.push(coerced_float(text)?),
            Column::Double(plain) => plain.push(coerced_double(text)?),
            Column::Boolean(values, nulls) if sink.coerce => {
                values.append(coerced_bool(text).ok_or(Unfit::Type)?);
                nulls.append_non_null();
            }
            // Whole numbers and epochs: what the text would be as a JSON number.
            _ if sink.coerce => {
                let text = text.trim_ascii();
                let number = text.strip_prefix('+').unwrap_or(text);
                let (end, _) = crate::scan::number_end(number.as_bytes(), 0).map_err(|_| Unfit::Type)?;
                if end < number.len() {
                    return Err(Unfit::Type);
                }
                return self.push_number(number, None, sink).map_err(|unfit| {
                    // The text was no number to begin with.
                    if matches!(unfit, Unfit::NeedsEpoch | Unfit::NoNumber) { Unfit::Type } else { unfit }
                });
            }
            _ => return Err(Unfit::Type),
        }
        Ok(())
    }

    /// A JSON number, as written. `at`: where it stands in the chunk.
    pub fn push_number(&mut self, raw: &str, at: Option<u32>, sink: &mut Sink) -> Result<(), Unfit> {
        match self {
            Column::Byte(plain) => plain.push(whole(raw, i8::try_from)?),
            Column::Short(plain) => plain.push(whole(raw, i16::try_from)?),
            Column::Int(plain) => plain.push(whole(raw, i32::try_from)?),
            Column::Long(plain) => plain.push(whole(raw, i64::try_from)?),
            Column::Float(plain) => plain.push(if raw == "-0" { 0.0 } else { raw.parse().map_err(|_| Unfit::Type)? }),
            Column::Double(plain) => {
                plain.push(if raw == "-0" { 0.0 } else { raw.parse().map_err(|_| Unfit::Type)? });
            }
            Column::Decimal(plain, precision, scale) => push_decimal(plain, raw, *precision, *scale)?,
            Column::String(plain) => plain.push(sink.text(raw, at)),
            Column::Date(plain, TimeReader::Epoch { digits }) => {
                let days = epoch_micros(raw, *digits).ok_or(Unfit::Range)?.div_euclid(MICROS_PER_DAY);
                plain.push(i32::try_from(days).map_err(|_| Unfit::Range)?);
            }
            Column::Timestamp(plain, TimeReader::Epoch { digits }, _) => {
                plain.push(epoch_micros(raw, *digits).ok_or(Unfit::Range)?);
            }
            Column::Date(..) => return Err(Unfit::NoNumber),
            Column::Timestamp(..) => return Err(Unfit::NeedsEpoch),
            _ => return Err(Unfit::Type),
        }
        Ok(())
    }

    /// `true` or `false`; `at`: where it stands in the chunk.
    pub fn push_bool(&mut self, value: bool, at: Option<u32>, sink: &mut Sink) -> Result<(), Unfit> {
        match self {
            Column::Boolean(values, nulls) => {
                values.append(value);
                nulls.append_non_null();
            }
            Column::String(plain) => plain.push(sink.text(if value { "true" } else { "false" }, at)),
            _ => return Err(Unfit::Type),
        }
        Ok(())
    }

    /// A cell of a CSV record, not empty.
    pub fn push_cell(&mut self, text: &str, at: Option<u32>, sink: &mut Sink) -> Result<(), Unfit> {
        match self {
            Column::Byte(plain) => plain.push(whole(unsigned(text), i8::try_from)?),
            Column::Short(plain) => plain.push(whole(unsigned(text), i16::try_from)?),
            Column::Int(plain) => plain.push(whole(unsigned(text), i32::try_from)?),
            Column::Long(plain) => plain.push(whole(unsigned(text), i64::try_from)?),
            Column::Float(plain) => plain.push(csv_double(text).ok_or(Unfit::Type)? as f32),
            Column::Double(plain) => plain.push(csv_double(text).ok_or(Unfit::Type)?),
            Column::Boolean(values, nulls) => {
                let value = text.eq_ignore_ascii_case("true");
                if !value && !text.eq_ignore_ascii_case("false") {
                    return Err(Unfit::Type);
                }
                values.append(value);
                nulls.append_non_null();
            }
            Column::Binary(plain) => {
                let view = sink.text(text, at);
                plain.push(view);
            }
            Column::Date(plain, TimeReader::Iso) => plain.push(iso::date(text).ok_or(Unfit::Type)?),
            Column::Date(_, TimeReader::Epoch { .. }) | Column::Timestamp(_, TimeReader::Epoch { .. }, _) => {
                let whole = crate::scan::number_end(text.as_bytes(), 0).is_ok_and(|(end, _)| end == text.len());
                return if whole { self.push_number(text, at, sink) } else { Err(Unfit::Type) };
            }
            _ => return self.push_text(text, at, sink),
        }
        Ok(())
    }
}

/// Without a plus sign before a digit.
fn unsigned(text: &str) -> &str {
    text.strip_prefix('+').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())).unwrap_or(text)
}

fn whole<T, E>(raw: &str, narrow: impl FnOnce(i64) -> Result<T, E>) -> Result<T, Unfit> {
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Unfit::Type);
    }
    raw.parse().ok().and_then(|wide| narrow(wide).ok()).ok_or(Unfit::Range)
}

fn push_decimal(plain: &mut Plain<i128>, raw: &str, precision: u8, scale: u8) -> Result<(), Unfit> {
    let value = decimal(raw, scale)?;
    if value.unsigned_abs() >= 10_u128.pow(u32::from(precision)) {
        return Err(Unfit::Range);
    }
    plain.push(value);
    Ok(())
}

/// The strings that Spark takes for floating point numbers.
fn special_float(text: &str) -> Option<f64> {
    match text {
        "NaN" => Some(f64::NAN),
        "Infinity" | "+Infinity" | "+INF" => Some(f64::INFINITY),
        "-Infinity" | "-INF" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

fn coerced_double(text: &str) -> Result<f64, Unfit> {
    special_float(text).or_else(|| java_double(text)).ok_or(Unfit::Type)
}

fn coerced_float(text: &str) -> Result<f32, Unfit> {
    match special_float(text) {
        Some(special) => Ok(special as f32),
        None => java_double(text).map(|value| text.trim_ascii().parse().unwrap_or(value as f32)).ok_or(Unfit::Type),
    }
}

/// What Spark's cast from string to boolean takes.
fn coerced_bool(text: &str) -> Option<bool> {
    match text.trim_ascii().to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// Spark's CSV reader: its own names for what is not finite, then Java's `Double.parseDouble`.
fn csv_double(text: &str) -> Option<f64> {
    match text {
        "Inf" => Some(f64::INFINITY),
        "-Inf" => Some(f64::NEG_INFINITY),
        _ => java_double(text),
    }
}
