//! Numbers as text.

use super::convert::Unfit;

/// A decimal number as an integer of `scale` digits behind the point, rounded half up as Java's `RoundingMode.HALF_UP`
/// does (away from zero). Takes what `java.math.BigDecimal` takes.
pub(crate) fn decimal(text: &str, scale: u8) -> Result<i128, Unfit> {
    let (negative, unsigned) = sign(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, self::exponent(exponent).ok_or(Unfit::Type)?),
        None => (unsigned, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
        return Err(Unfit::Type);
    }
    // The value is `digits` with the point behind `point` of them; those up to `point + scale` are kept.
    let digits = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0');
    let leading = digits.clone().take_while(|digit| *digit == 0).count();
    let significant = whole.len() + fraction.len() - leading;
    if significant == 0 {
        return Ok(0);
    }
    let kept = whole.len() as i64 - leading as i64 + exponent + i64::from(scale);
    // The first digit is not 0, so that more of them are 10^38 or more.
    if kept > 38 {
        return Err(Unfit::Range);
    }
    if kept < 0 {
        return Ok(0);
    }
    let mut value: u128 = 0;
    let mut rest = digits.skip(leading);
    for _ in 0..kept {
        value = value * 10 + u128::from(rest.next().unwrap_or(0));
    }
    if rest.next().is_some_and(|digit| digit >= 5) {
        value += 1;
    }
    if value >= 10_u128.pow(38) {
        return Err(Unfit::Range);
    }
    let value = value as i128;
    Ok(if negative { -value } else { value })
}

/// `10^digits` of the number are a second; microseconds, cut off towards the past. `None`: out of range.
pub(crate) fn epoch_micros(raw: &str, digits: u8) -> Option<i64> {
    // Whole numbers are the rule.
    if let Ok(whole) = raw.parse::<i64>() {
        return whole.checked_mul(10_i64.pow(6 - u32::from(digits)));
    }
    let nanos = decimal(raw, 15 - digits).ok()?;
    i64::try_from(nanos.div_euclid(1_000_000_000)).ok()
}

/// As Java's `Double.parseDouble`, without hexadecimal numbers: white space around it, a type suffix, `NaN` and
/// `Infinity` with a sign.
pub(crate) fn java_double(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c: char| c <= ' ');
    let (negative, unsigned) = sign(text);
    match unsigned {
        "NaN" => return Some(f64::NAN),
        "Infinity" => return Some(if negative { f64::NEG_INFINITY } else { f64::INFINITY }),
        _ => {}
    }
    let number = unsigned.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(unsigned);
    if !number.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let value: f64 = number.parse().ok()?;
    Some(if negative { -value } else { value })
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// Exponents beyond a million are as good as a million.
fn exponent(text: &str) -> Option<i64> {
    let (negative, digits) = sign(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value = digits.bytes().fold(0_i64, |value, byte| (value * 10 + i64::from(byte - b'0')).min(1_000_000));
    Some(if negative { -value } else { value })
}
