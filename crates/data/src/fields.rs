//! Splitting a line into fields: delimiters, quotes, and what counts as a number or as missing.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

/// What separates the fields of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delimiter {
    /// `,`
    Comma,
    /// A tab.
    Tab,
    /// `;`
    Semicolon,
    /// Any run of spaces and tabs; spaces at either end of a line do not count.
    Whitespace,
}

impl Delimiter {
    /// The delimiter of a line: a tab if there is one outside quotes, else the more frequent of comma and semicolon
    /// (a semicolon if they tie, because commas are then decimal commas), else whitespace.
    pub(crate) fn detect(line: &str) -> Self {
        let (mut tabs, mut commas, mut semicolons) = (0_usize, 0_usize, 0_usize);
        let mut quoted = false;
        for byte in line.bytes() {
            match byte {
                b'"' => quoted = !quoted,
                b'\t' if !quoted => tabs += 1,
                b',' if !quoted => commas += 1,
                b';' if !quoted => semicolons += 1,
                _ => {}
            }
        }
        match (tabs, commas, semicolons) {
            (0, 0, 0) => Self::Whitespace,
            (0, commas, semicolons) if semicolons >= commas => Self::Semicolon,
            (0, _, _) => Self::Comma,
            _ => Self::Tab,
        }
    }

    /// All delimiters are single bytes below 128, so looking at bytes never splits a character.
    fn separates(self, byte: u8) -> bool {
        match self {
            Self::Comma => byte == b',',
            Self::Tab => byte == b'\t',
            Self::Semicolon => byte == b';',
            Self::Whitespace => byte == b' ' || byte == b'\t',
        }
    }
}

impl fmt::Display for Delimiter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Comma => "comma",
            Self::Tab => "tab",
            Self::Semicolon => "semicolon",
            Self::Whitespace => "whitespace",
        })
    }
}

impl FromStr for Delimiter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "comma" | "," => Ok(Self::Comma),
            "tab" | "\t" | "\\t" => Ok(Self::Tab),
            "semicolon" | ";" => Ok(Self::Semicolon),
            "whitespace" | "space" | " " => Ok(Self::Whitespace),
            _ => Err(format!("unknown delimiter {text:?}: use comma, tab, semicolon or whitespace")),
        }
    }
}

/// A quote that is not closed on its line, or that is followed by something else than a delimiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadQuote;

/// The fields of one line, trimmed of spaces; quotes are taken off and doubled quotes inside them halved.
pub(crate) struct Fields<'a> {
    rest: Option<&'a str>,
    delimiter: Delimiter,
}

impl<'a> Fields<'a> {
    pub(crate) fn of(line: &'a str, delimiter: Delimiter) -> Self {
        let rest = if delimiter == Delimiter::Whitespace { line.trim_matches([' ', '\t']) } else { line };
        Self { rest: Some(rest), delimiter }
    }

    /// Takes the delimiter off the start of what follows a field.
    fn step_over(&mut self, after: &'a str) {
        self.rest = if after.is_empty() {
            None
        } else if self.delimiter == Delimiter::Whitespace {
            Some(after.trim_start_matches([' ', '\t']))
        } else {
            Some(&after[1..])
        };
    }

    fn quoted(&mut self, start: &'a str) -> Result<Cow<'a, str>, BadQuote> {
        let mut end = 0;
        loop {
            end += start[end..].find('"').ok_or(BadQuote)?;
            if !start[end + 1..].starts_with('"') {
                break;
            }
            end += 2;
        }
        let inside = &start[..end];
        let mut after = &start[end + 1..];
        if self.delimiter != Delimiter::Whitespace {
            after = after.trim_start_matches(' ');
        }
        if !after.is_empty() && !self.delimiter.separates(after.as_bytes()[0]) {
            return Err(BadQuote);
        }
        self.step_over(after);
        Ok(if inside.contains('"') {
            Cow::Owned(inside.replace("\"\"", "\""))
        } else {
            Cow::Borrowed(inside)
        })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Cow<'a, str>, BadQuote>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        if let Some(start) = rest.trim_start_matches(' ').strip_prefix('"') {
            return Some(self.quoted(start));
        }
        let end = rest.bytes().position(|byte| self.delimiter.separates(byte)).unwrap_or(rest.len());
        self.step_over(&rest[end..]);
        Some(Ok(Cow::Borrowed(rest[..end].trim_matches(' '))))
    }
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Content {
    Number(f64),
    Infinite(f64),
    Missing,
    Text,
}

impl Content {
    pub(crate) fn of(field: &str) -> Self {
        // Numbers first: nearly all fields are. Rust also reads the words nan and inf.
        match field.parse::<f64>() {
            Ok(number) if number.is_finite() => Self::Number(number),
            Ok(number) if number.is_infinite() => Self::Infinite(number),
            Ok(_) => Self::Missing,
            Err(_) if MISSING.iter().any(|missing| field.eq_ignore_ascii_case(missing)) => Self::Missing,
            Err(_) => Self::Text,
        }
    }
}

/// Marks for a missing value, in any case; `nan` is read by the number parser.
const MISSING: [&str; 6] = ["", "na", "n/a", "?", "null", "none"];
