//! `format_string`: Java's `Formatter` (<https://docs.oracle.com/en/java/javase/17/docs/api/java.base/java/util/Formatter.html>)
//! without its dates (`%t`) and hexadecimal floats (`%a`).

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType,
};
use datafusion::common::{Result, exec_err, plan_err};

use crate::cast::{put, scientific, show_decimal, show_double, show_float};
use crate::columns::{At, strings, written};
use crate::function::{Function, Returns};
use crate::types::{self, is_binary};

pub(crate) static FUNCTIONS: &[Function] =
    &[Function::by("format_string", format_args, Returns::Is(|| DataType::Utf8View), format_string)
        .aliases(&["printf"])
        .doc("format_string(format, a, ...)", "Text in the style of printf.")
        .differs("no %a, no %t, no arrays, maps, structs and binaries")
        .tried()];

fn format_args(given: &[DataType]) -> Result<Vec<DataType>> {
    let Some((_, rest)) = given.split_first() else { return plan_err!("format_string() needs a format") };
    if let Some(odd) = rest.iter().find(|t| t.is_nested() || is_binary(t) || types::is_interval(t)) {
        return plan_err!("format_string() cannot write {}", types::spark_name(odd));
    }
    let each = |t: &DataType| if types::is_text(t) { DataType::Utf8View } else { t.clone() };
    Ok(std::iter::once(DataType::Utf8View).chain(rest.iter().map(each)).collect())
}

fn format_string(args: &[ArrayRef], _: &DataType) -> Result<ArrayRef> {
    let formats = strings(&args[0]);
    let values = &args[1..];
    let mut known: Vec<(&str, Vec<Piece>)> = Vec::new();
    for format in (0..formats.len()).filter_map(|i| formats.at(i)) {
        if !known.iter().any(|(text, _)| *text == format) {
            known.push((format, pieces(format, values)?));
        }
    }
    written(formats.len(), |i, out| {
        let format = formats.at(i)?;
        for piece in &known.iter().find(|(text, _)| *text == format)?.1 {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Value(index, shape) => shape.write(&value_at(&values[*index], i), out),
            }
        }
        Some(())
    })
}

enum Piece {
    Text(String),
    /// An argument and how it is written.
    Value(usize, Shape),
}

/// `%-08,.2f`.
#[derive(Clone, Default)]
struct Shape {
    /// As written, of `-#+ 0,(`.
    flags: String,
    width: usize,
    precision: Option<usize>,
    conversion: char,
    upper: bool,
}

enum Value {
    Null,
    Bool(bool),
    /// With the bits of its type.
    Int(i64, u32),
    Float(f32),
    Double(f64),
    Decimal(i128, i8),
    Text(String),
}

/// The format, of which every conversion fits the type of its argument.
fn pieces(format: &str, values: &[ArrayRef]) -> Result<Vec<Piece>> {
    let (mut pieces, mut text, mut rest) = (Vec::new(), String::new(), format);
    let (mut next, mut last) = (0, None);
    while let Some((before, after)) = rest.split_once('%') {
        text.push_str(before);
        let (written, index, shape, behind) = conversion(after, format)?;
        rest = behind;
        match shape.conversion {
            'n' => text.push('\n'),
            '%' => shape.justified("%", &mut text),
            _ => {
                let index = match index {
                    Index::Next => {
                        next += 1;
                        next - 1
                    }
                    Index::Last => match last {
                        Some(last) => last,
                        None => return exec_err!("format '{format}': nothing stands before %{written}"),
                    },
                    Index::Number(number) => number,
                };
                last = Some(index);
                let Some(column) = values.get(index) else {
                    return exec_err!("format '{format}': there is no argument for %{written}");
                };
                shape.check(column.data_type(), written, format)?;
                pieces.push(Piece::Text(std::mem::take(&mut text)));
                pieces.push(Piece::Value(index, shape));
            }
        }
    }
    text.push_str(rest);
    pieces.push(Piece::Text(text));
    Ok(pieces)
}

enum Index {
    Next,
    Last,
    Number(usize),
}

/// What follows a `%`: how it is written, its argument, its shape, and the rest of the format.
fn conversion<'f>(after: &'f str, format: &str) -> Result<(&'f str, Index, Shape, &'f str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (mut shape, mut rest, mut index) = (Shape::default(), after, Index::Next);
    if let Some(tail) = rest.strip_prefix('<') {
        (index, rest) = (Index::Last, tail);
    } else if let Some((number, tail)) = rest.split_at_checked(digits(rest))
        && let (Ok(number @ 1..), Some(tail)) = (number.parse::<usize>(), tail.strip_prefix('$'))
    {
        (index, rest) = (Index::Number(number - 1), tail);
    }
    let flags = rest.len() - rest.trim_start_matches(['-', '#', '+', ' ', '0', ',', '(']).len();
    (shape.flags, rest) = (rest[..flags].to_owned(), &rest[flags..]);
    let (width, tail) = rest.split_at(digits(rest));
    (shape.width, rest) = (width.parse().unwrap_or(0), tail);
    if let Some(tail) = rest.strip_prefix('.') {
        let (precision, tail) = tail.split_at(digits(tail));
        (shape.precision, rest) = (precision.parse().ok(), tail);
    }
    let Some(conversion) = rest.chars().next() else {
        return exec_err!("format '{format}' ends within a conversion");
    };
    rest = &rest[conversion.len_utf8()..];
    let written = &after[..after.len() - rest.len()];
    shape.upper = matches!(conversion, 'B' | 'H' | 'S' | 'C' | 'X' | 'E' | 'G');
    shape.conversion = if shape.upper { conversion.to_ascii_lowercase() } else { conversion };
    if (shape.has('-') || shape.has('0')) && shape.width == 0
        || shape.has('-') && shape.has('0')
        || shape.has('+') && shape.has(' ')
    {
        return exec_err!("format '{format}': the flags of %{written} do not fit together");
    }
    Ok((written, index, shape, rest))
}

impl Shape {
    fn has(&self, flag: char) -> bool {
        self.flags.contains(flag)
    }

    fn check(&self, t: &DataType, written: &str, format: &str) -> Result<()> {
        let integer = t.is_signed_integer() || matches!(t, DataType::Date32 | DataType::Timestamp(..));
        let signs = self.has('+') || self.has(' ') || self.has('(') || self.has('0') || self.has(',');
        let fits = match self.conversion {
            _ if *t == DataType::Null => true,
            'b' | 's' => true,
            'h' => !matches!(t, DataType::Decimal128(..)),
            'c' => matches!(t, DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Date32),
            'd' | 'o' | 'x' => integer,
            'e' | 'f' | 'g' => types::is_float(t),
            other => return exec_err!("format '{format}': there is no conversion %{other}"),
        };
        if !fits {
            return exec_err!("format '{format}': %{written} does not take {}", types::spark_name(t));
        }
        let sound = match self.conversion {
            'b' | 'h' | 's' => !self.has('#') && !signs,
            'c' => !self.has('#') && !signs && self.precision.is_none(),
            'd' => !self.has('#') && self.precision.is_none(),
            'o' | 'x' => self.precision.is_none() && !(signs && !self.has('0') || self.has('+') || self.has(',')),
            'e' => !self.has(','),
            'g' => !self.has('#'),
            _ => true,
        };
        if sound { Ok(()) } else { exec_err!("format '{format}': the flags of %{written} do not fit together") }
    }

    fn write(&self, value: &Value, out: &mut String) {
        match (self.conversion, value) {
            ('b', Value::Bool(value)) => self.general(&value.to_string(), out),
            ('b', value) => self.general(if matches!(value, Value::Null) { "false" } else { "true" }, out),
            (_, Value::Null) => self.general("null", out),
            ('h', value) => self.general(&format!("{:x}", hash(value)), out),
            ('c', Value::Int(code, _)) => {
                let shown = u32::try_from(*code).ok().and_then(char::from_u32).unwrap_or('\u{FFFD}');
                self.general(&shown.to_string(), out);
            }
            ('d', Value::Int(value, _)) => {
                let (mut text, negative) = (String::new(), *value < 0);
                self.sign_before(negative, &mut text);
                self.magnitude(&value.unsigned_abs().to_string(), self.inner_width(negative), &mut text);
                self.sign_behind(negative, &mut text);
                self.justified(&text, out);
            }
            ('o' | 'x', Value::Int(value, bits)) => self.bits(*value, *bits, out),
            ('e' | 'f' | 'g', Value::Double(value)) => self.float(*value, out),
            ('e' | 'f' | 'g', Value::Float(value)) => self.float(f64::from(*value), out),
            (_, value) => {
                let mut text = String::new();
                match value {
                    Value::Null => {}
                    Value::Bool(value) => put(&mut text, format_args!("{value}")),
                    Value::Int(value, _) => put(&mut text, format_args!("{value}")),
                    Value::Float(value) => show_float(*value, &mut text),
                    Value::Double(value) => show_double(*value, &mut text),
                    Value::Decimal(value, scale) => show_decimal(*value, *scale, &mut text),
                    Value::Text(value) => text.push_str(value),
                }
                self.general(&text, out);
            }
        }
    }

    /// Cut to the precision, in capitals where asked.
    fn general(&self, text: &str, out: &mut String) {
        let cut = match self.precision.filter(|_| self.conversion != 'c') {
            Some(precision) if text.encode_utf16().count() > precision => {
                String::from_utf16_lossy(&text.encode_utf16().take(precision).collect::<Vec<_>>())
            }
            _ => text.to_owned(),
        };
        self.justified(&if self.upper { cut.to_uppercase() } else { cut }, out);
    }

    /// Filled up with spaces; as in Java a character beyond the 16-bit ones counts twice.
    fn justified(&self, text: &str, out: &mut String) {
        let missing = self.width.saturating_sub(text.encode_utf16().count());
        let spaces = " ".repeat(missing);
        let (before, behind) = if self.has('-') { ("", spaces.as_str()) } else { (spaces.as_str(), "") };
        out.extend([before, text, behind]);
    }

    fn sign_before(&self, negative: bool, out: &mut String) {
        out.push_str(match negative {
            true if self.has('(') => "(",
            true => "-",
            false if self.has('+') => "+",
            false if self.has(' ') => " ",
            false => "",
        });
    }

    fn sign_behind(&self, negative: bool, out: &mut String) {
        if negative && self.has('(') {
            out.push(')');
        }
    }

    /// The width without a closing parenthesis.
    fn inner_width(&self, negative: bool) -> usize {
        self.width.saturating_sub(usize::from(negative && self.has('(')))
    }

    /// Digits, perhaps with a point, with commas and zeros before them up to `width` characters of `out`.
    fn magnitude(&self, digits: &str, width: usize, out: &mut String) {
        let begin = out.len();
        let whole = digits.find('.').unwrap_or(digits.len());
        for (i, c) in digits.chars().enumerate() {
            if self.has(',') && i > 0 && i < whole && (whole - i).is_multiple_of(3) {
                out.push(',');
            }
            out.push(c);
        }
        if self.has('0') {
            let missing = width.saturating_sub(out.len());
            out.insert_str(begin, &"0".repeat(missing));
        }
    }

    /// `%x` and `%o`: two's complement in the bits of the type.
    fn bits(&self, value: i64, bits: u32, out: &mut String) {
        let value = if bits == 64 { value as u64 } else { value as u64 & ((1 << bits) - 1) };
        let (prefix, digits) = match (self.conversion, self.has('#')) {
            ('x', true) => ("0x", format!("{value:x}")),
            ('x', false) => ("", format!("{value:x}")),
            (_, true) => ("0", format!("{value:o}")),
            (_, false) => ("", format!("{value:o}")),
        };
        let zeros = if self.has('0') { self.width.saturating_sub(prefix.len() + digits.len()) } else { 0 };
        let text = format!("{prefix}{}{digits}", "0".repeat(zeros));
        self.justified(&if self.upper { text.to_uppercase() } else { text }, out);
    }

    fn float(&self, value: f64, out: &mut String) {
        let negative = value.is_sign_negative() && !value.is_nan();
        let mut text = String::new();
        if value.is_nan() {
            text.push_str("NaN");
        } else {
            self.sign_before(negative, &mut text);
            if value.is_infinite() {
                text.push_str("Infinity");
            } else {
                self.finite(value.abs(), self.inner_width(negative), &mut text);
            }
            self.sign_behind(negative, &mut text);
        }
        self.justified(&if self.upper { text.to_uppercase() } else { text }, out);
    }

    fn finite(&self, value: f64, width: usize, out: &mut String) {
        let decimal = Digits::of(value);
        let precision = self.precision.unwrap_or(6);
        let (rounded, behind, scientific) = match self.conversion {
            'f' => (decimal.rounded(decimal.point + precision as i32), precision, false),
            'e' => (decimal.rounded(precision as i32 + 1), precision, true),
            _ => {
                let precision = precision.max(1) as i32;
                let rounded = decimal.rounded(precision);
                let exponent = if value == 0.0 { 0 } else { rounded.point - 1 };
                if (-4..precision).contains(&exponent) {
                    (rounded, (precision - exponent - 1) as usize, false)
                } else {
                    (rounded, precision as usize - 1, true)
                }
            }
        };
        let exponent = if value == 0.0 { 0 } else { rounded.point - 1 };
        let mut digits = rounded.text(if scientific { rounded.point - 1 } else { 0 }, behind);
        if self.has('#') && behind == 0 {
            digits.push('.');
        }
        if !scientific {
            return self.magnitude(&digits, width, out);
        }
        let exponent = format!("e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
        self.magnitude(&digits, width.saturating_sub(exponent.len()), out);
        out.push_str(&exponent);
    }
}

/// The shortest decimal digits of a double: `0.d1d2d3... * 10^point`.
struct Digits {
    digits: Vec<u8>,
    point: i32,
}

impl Digits {
    fn of(value: f64) -> Self {
        let text = scientific(value);
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let digits = mantissa.bytes().filter(u8::is_ascii_digit).map(|d| d - b'0').collect();
        Self { digits, point: exponent.parse::<i32>().unwrap_or(0) + 1 }
    }

    /// The first `count` digits, rounded half up.
    fn rounded(&self, count: i32) -> Self {
        if count >= self.digits.len() as i32 {
            return Self { digits: self.digits.clone(), point: self.point };
        }
        let mut kept = self.digits[..count.max(0) as usize].to_vec();
        let up = count >= 0 && self.digits[count as usize] >= 5;
        if !up {
            return Self { digits: kept, point: self.point };
        }
        for digit in kept.iter_mut().rev() {
            *digit += 1;
            if *digit < 10 {
                return Self { digits: kept, point: self.point };
            }
            *digit = 0;
        }
        kept.insert(0, 1);
        Self { digits: kept, point: self.point + 1 }
    }

    /// Divided by `10^shift`, with `behind` digits behind the point.
    fn text(&self, shift: i32, behind: usize) -> String {
        let point = self.point - shift;
        let at = |place: i32| {
            let digit = usize::try_from(place).ok().and_then(|place| self.digits.get(place));
            char::from(b'0' + digit.copied().unwrap_or(0))
        };
        let mut text: String = (0..point.max(1)).map(|i| at(if point > 0 { i } else { -1 })).collect();
        if behind > 0 {
            text.push('.');
            text.extend((0..behind as i32).map(|i| at(point + i)));
        }
        text
    }
}

/// Java's `hashCode`, of texts Spark's.
fn hash(value: &Value) -> u32 {
    let long = |bits: u64| (bits ^ (bits >> 32)) as u32;
    match value {
        Value::Null | Value::Decimal(..) => 0,
        Value::Bool(value) => {
            if *value {
                1231
            } else {
                1237
            }
        }
        Value::Int(value, 64) => long(*value as u64),
        Value::Int(value, _) => *value as u32,
        Value::Float(value) => value.to_bits(),
        Value::Double(value) => long(value.to_bits()),
        Value::Text(text) => crate::hashes::murmur3(text.as_bytes()),
    }
}

fn value_at(column: &ArrayRef, row: usize) -> Value {
    if types::is_null(column, row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Boolean => Value::Bool(column.as_boolean().value(row)),
        DataType::Int8 => Value::Int(column.as_primitive::<Int8Type>().value(row).into(), 8),
        DataType::Int16 => Value::Int(column.as_primitive::<Int16Type>().value(row).into(), 16),
        DataType::Int32 => Value::Int(column.as_primitive::<Int32Type>().value(row).into(), 32),
        DataType::Int64 => Value::Int(column.as_primitive::<Int64Type>().value(row), 64),
        DataType::Date32 => Value::Int(column.as_primitive::<Date32Type>().value(row).into(), 32),
        DataType::Timestamp(..) => Value::Int(column.as_primitive::<TimestampMicrosecondType>().value(row), 64),
        DataType::Float32 => Value::Float(column.as_primitive::<Float32Type>().value(row)),
        DataType::Float64 => Value::Double(column.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => Value::Decimal(column.as_primitive::<Decimal128Type>().value(row), *scale),
        _ => Value::Text(column.as_string_view_opt().map_or("", |text| text.value(row)).to_owned()),
    }
}
