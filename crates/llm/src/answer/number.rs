//! Numbers in running text.

use super::rational::Rational;

/// A number in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Number {
    /// First byte of it, its sign included.
    pub start: usize,
    /// Byte behind it. Units, a percent sign and a full stop are not a part of it.
    pub end: usize,
    /// Its value.
    pub value: Rational,
}

/// All numbers in a text, in order.
///
/// A number is digits, perhaps grouped in thousands by commas, perhaps with a decimal part, perhaps with an exponent (`1.5e5`),
/// perhaps over another number (`2/3`). A minus counts as its sign unless a digit, a letter or a closing bracket is before it, so that
/// `5-3` has no negative number; a currency sign may stand between sign and digits. Digits inside a word (`x1`,
/// `B2B`) are none, but a unit may follow (`5kg`, `3rd`). Numbers with more than 18 digits are left out.
pub fn numbers(text: &str) -> Vec<Number> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let begins = bytes[at].is_ascii_digit() || (bytes[at] == b'.' && is_digit(bytes, at + 1));
        if !begins {
            at += 1;
            continue;
        }
        let (end, value) = fraction(text, at);
        let (start, negative) = sign(text, at);
        if !inside_word(text, at)
            && let Some(value) = value
        {
            found.push(Number { start, end, value: if negative { -value } else { value } });
        }
        at = end;
    }
    found
}

fn is_digit(bytes: &[u8], at: usize) -> bool {
    bytes.get(at).is_some_and(u8::is_ascii_digit)
}

/// A decimal at `at`, or a fraction of two. Its end, and its value unless it is too long or the denominator is zero.
fn fraction(text: &str, at: usize) -> (usize, Option<Rational>) {
    let bytes = text.as_bytes();
    let (end, value) = decimal(text, at);
    if bytes.get(end) != Some(&b'/') || !is_digit(bytes, end + 1) {
        return (end, value);
    }
    let (over, denominator) = decimal(text, end + 1);
    // Three numbers between slashes are a date, not a fraction: each counts for itself.
    let is_date = bytes.get(over) == Some(&b'/') && is_digit(bytes, over + 1);
    let date_before = at >= 2 && bytes[at - 1] == b'/' && bytes[at - 2].is_ascii_digit();
    if is_date || date_before {
        return (end, value);
    }
    (over, value.zip(denominator).and_then(|(value, denominator)| value.divided_by(denominator)))
}

/// Digits with their commas, point and exponent.
fn decimal(text: &str, at: usize) -> (usize, Option<Rational>) {
    let bytes = text.as_bytes();
    let run = |mut at: usize| {
        while is_digit(bytes, at) {
            at += 1;
        }
        at
    };
    let mut end = run(at);
    // Groups of exactly three digits, the first of one to three.
    if (1..=3).contains(&(end - at)) {
        while bytes.get(end) == Some(&b',') && run(end + 1) == end + 4 {
            end += 4;
        }
    }
    if bytes.get(end) == Some(&b'.') && is_digit(bytes, end + 1) {
        end = run(end + 1);
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let signed = end + 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        // `5e3` is a number, `5e3x` and `5 eggs` hold the number 5.
        let behind = run(signed);
        if behind > signed && !bytes.get(behind).is_some_and(u8::is_ascii_alphanumeric) {
            end = behind;
        }
    }
    (end, Rational::from_decimal(&text[at..end].replace(',', "")))
}

/// Where a number begins whose digits begin at `at`, and whether it is negative.
fn sign(text: &str, at: usize) -> (usize, bool) {
    const CURRENCIES: [char; 4] = ['$', '€', '£', '¥'];
    let before = &text[..at];
    let without_currency = before.strip_suffix(CURRENCIES).unwrap_or(before);
    for text in [before, without_currency] {
        let Some(rest) = text.strip_suffix(['-', '\u{2212}']) else { continue };
        let last = rest.chars().next_back();
        if last.is_none_or(|last| !last.is_alphanumeric() && !matches!(last, ')' | ']' | '.' | ',' | '%')) {
            return (rest.len(), true);
        }
    }
    (at, false)
}

/// Whether the digits at `at` belong to a word that began before them.
fn inside_word(text: &str, at: usize) -> bool {
    let mut before = text[..at].chars().rev();
    match before.next() {
        Some('_') => true,
        Some(last) => last.is_alphabetic(),
        None => false,
    }
}
