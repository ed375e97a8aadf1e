//! Pattern text to items (`java.time.format.DateTimeFormatterBuilder.appendPattern`, with Spark's restrictions).

use super::{Field, Item, OffsetStyle, Pattern, PatternError, Sign};

/// Those that some count of is right.
const LETTERS: &str = "GyDMLdQqEFahKkHmsSzOXxZ";

/// The widest number that Java reads.
const WIDEST: usize = 19;

struct Compiler<'a> {
    chars: std::iter::Peekable<std::iter::Enumerate<std::str::Chars<'a>>>,
    /// Items of the open sections, outermost first.
    open: Vec<Vec<Item>>,
    /// The number in the innermost section that fixed numbers follow without a gap.
    active: Option<usize>,
    format_only: Option<(char, usize)>,
}

pub(super) fn compile(pattern: &str) -> Result<Pattern, PatternError> {
    let mut compiler = Compiler {
        chars: pattern.chars().enumerate().peekable(),
        open: vec![Vec::new()],
        active: None,
        format_only: None,
    };
    while let Some((at, c)) = compiler.chars.next() {
        compiler.take(at + 1, c)?;
    }
    // Java closes what is open at the end.
    while compiler.open.len() > 1 {
        compiler.close();
    }
    let items = compiler.open.pop().unwrap_or_default();
    Ok(Pattern { text: pattern.to_owned(), items, format_only: compiler.format_only })
}

fn error<T>(column: usize, reason: String) -> Result<T, PatternError> {
    Err(PatternError { column, reason })
}

impl Compiler<'_> {
    fn take(&mut self, column: usize, c: char) -> Result<(), PatternError> {
        match c {
            '\'' => return self.quoted(column),
            '[' => {
                self.open.push(Vec::new());
                self.active = None;
            }
            ']' if self.open.len() == 1 => return error(column, "`]` without `[`".to_owned()),
            ']' => self.close(),
            '{' | '}' | '#' => return error(column, format!("`{c}` is reserved: write '{c}' in single quotes")),
            'a'..='z' | 'A'..='Z' => {
                let mut count = 1;
                while self.chars.next_if(|(_, next)| *next == c).is_some() {
                    count += 1;
                }
                return self.letters(column, c, count);
            }
            c => self.literal(c.to_string()),
        }
        Ok(())
    }

    fn close(&mut self) {
        if let Some(items) = self.open.pop() {
            self.push(Item::Optional(items));
        }
    }

    fn push(&mut self, item: Item) {
        self.active = None;
        if let Some(items) = self.open.last_mut() {
            items.push(item);
        }
    }

    fn literal(&mut self, text: String) {
        if let Some(Item::Literal(before)) = self.open.last_mut().and_then(|items| items.last_mut()) {
            before.push_str(&text);
            self.active = None;
        } else {
            self.push(Item::Literal(text));
        }
    }

    fn quoted(&mut self, column: usize) -> Result<(), PatternError> {
        let mut text = String::new();
        loop {
            match self.chars.next() {
                None => return error(column, "the quoted text does not end".to_owned()),
                Some((_, '\'')) if self.chars.next_if(|(_, next)| *next == '\'').is_some() => text.push('\''),
                Some((_, '\'')) => break,
                Some((_, c)) => text.push(c),
            }
        }
        self.literal(if text.is_empty() { "'".to_owned() } else { text });
        Ok(())
    }

    fn letters(&mut self, column: usize, letter: char, count: usize) -> Result<(), PatternError> {
        let too_many = || error(column, format!("too many letters `{letter}`"));
        if matches!(letter, 'E' | 'F' | 'Q' | 'q') && self.format_only.is_none() {
            self.format_only = Some((letter, column));
        }
        let text = |field| Item::Text { field, full: count == 4 };
        match (letter, count) {
            ('G', 1..=4) => self.push(text(Field::Era)),
            ('y', 2) => self.number_like(Item::ShortYear, Some(2)),
            ('y', 1..=6) => {
                let sign = if count < 4 { Sign::Normal } else { Sign::ExceedsPad };
                self.number(Field::YearOfEra, count, WIDEST, sign);
            }
            ('D', 1) => self.number(Field::DayOfYear, 1, WIDEST, Sign::Normal),
            ('D', 2 | 3) => self.number(Field::DayOfYear, count, 3, Sign::Never),
            ('M' | 'L', 1 | 2) => self.short(Field::Month, count),
            ('M' | 'L', 3 | 4) => self.push(text(Field::Month)),
            ('d', 1 | 2) => self.short(Field::Day, count),
            ('Q' | 'q', 1 | 2) => self.short(Field::Quarter, count),
            ('Q' | 'q', 3 | 4) => self.push(text(Field::Quarter)),
            ('E', 1..=4) => self.push(text(Field::Weekday)),
            ('F', 1) => self.short(Field::AlignedWeekday, 1),
            ('a', 1) => self.push(text(Field::AmPm)),
            ('h', 1 | 2) => self.short(Field::ClockHourOfAmPm, count),
            ('K', 1 | 2) => self.short(Field::HourOfAmPm, count),
            ('k', 1 | 2) => self.short(Field::ClockHour, count),
            ('H', 1 | 2) => self.short(Field::Hour, count),
            ('m', 1 | 2) => self.short(Field::Minute, count),
            ('s', 1 | 2) => self.short(Field::Second, count),
            ('S', 1..=9) => self.push(Item::Fraction(count)),
            ('V', 2) | ('z', 1..=3) => self.push(Item::Zone { full: false }),
            ('z', 4) => self.push(Item::Zone { full: true }),
            ('O', 1 | 4) | ('Z', 4) => self.push(Item::LocalizedOffset { full: count == 4 }),
            ('X' | 'x', 1..=5) => self.push(offset(letter, count)),
            ('Z', 1..=3) => self.push(Item::Offset { style: offset_style(2), zero: "+0000" }),
            ('Z', 5) => self.push(Item::Offset { style: offset_style(5), zero: "Z" }),
            ('V', _) => return error(column, "a zone id is `VV`".to_owned()),
            (letter, _) if LETTERS.contains(letter) => return too_many(),
            _ => return error(column, format!("`{letter}` is not a pattern letter of Spark's")),
        }
        Ok(())
    }

    /// One letter: as many digits as there are; two: exactly two.
    fn short(&mut self, field: Field, count: usize) {
        if count == 1 {
            self.number(field, 1, WIDEST, Sign::Normal);
        } else {
            self.number(field, 2, 2, Sign::Never);
        }
    }

    fn number(&mut self, field: Field, min: usize, max: usize, sign: Sign) {
        let fixed = (min == max && sign == Sign::Never).then_some(min);
        self.number_like(Item::Number { field, min, max, sign, reserved: 0 }, fixed);
    }

    /// `fixed`: its width, if it has only one.
    fn number_like(&mut self, item: Item, fixed: Option<usize>) {
        let Some(items) = self.open.last_mut() else { return };
        match (self.active, fixed) {
            (Some(active), Some(width)) => {
                if let Some(Item::Number { reserved, .. }) = items.get_mut(active) {
                    *reserved += width;
                }
            }
            _ => self.active = Some(items.len()),
        }
        items.push(item);
    }
}

fn offset(letter: char, count: usize) -> Item {
    let zero = match (letter, count) {
        ('X', _) => "Z",
        (_, 1) => "+00",
        (_, 2 | 4) => "+0000",
        _ => "+00:00",
    };
    Item::Offset { style: offset_style(count), zero }
}

/// Of `X` to `XXXXX`.
fn offset_style(count: usize) -> OffsetStyle {
    OffsetStyle { colon: count == 3 || count == 5, short: count == 1, seconds: count >= 4 }
}
