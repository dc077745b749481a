//! The extraction rules of official repositories, as they are, quirks included. They serve comparisons with published numbers;
//! [`super::extract`] is better for everything else.
//!
//! Marks are looked for in exactly this spelling. What is given back is the text that the repository compares.

/// FOBAR (arXiv 2308.07758), numbers: the last one behind the last `mark`, or of the whole text without the mark, which is "The answer is"
/// forward and "The value of x is" backward.
///
/// Commas are dropped before; a number is a perhaps negative run of digits, then perhaps a slash, perhaps a point, and more digits, so
/// that `3/4` is one and `1.5/2` is `1.5` and `2`. Trailing zeros are dropped: `5.0` gives `5`. Empty without a number.
pub fn fobar(reply: &str, mark: &str) -> String {
    let (text, _) = behind(reply, mark);
    let last = runs(&text.replace(',', ""), run_of_fobar).pop();
    let last = last.map(|run| without_zeros(&run)).unwrap_or_default();
    let last = last.strip_suffix('.').unwrap_or(&last);
    last.strip_suffix('/').unwrap_or(last).to_owned()
}

/// FOBAR, options: the first of the letters A to E behind the last mark, in any word; without the mark the last of the text.
pub fn fobar_choice(reply: &str, mark: &str) -> String {
    let (text, marked) = behind(reply, mark);
    let text = text.to_uppercase();
    let mut letters = text.chars().filter(|letter| ('A'..='E').contains(letter));
    let letter = if marked { letters.next() } else { letters.next_back() };
    letter.map(String::from).unwrap_or_default()
}

/// What the rules of Auto-CoT (arXiv 2210.03493) tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoCotKind {
    /// A number: commas dropped, digits with a decimal part, perhaps a minus.
    Number,
    /// A letter from A to the given one, in any word.
    Letter(char),
    /// `yes` or `no` as a word.
    YesNo,
    /// The whole text without quotes, full stops and spaces.
    Squeezed,
}

/// Auto-CoT: behind the last mark ("The answer is") the first match, without the mark the last; a full stop at its end is dropped. Empty
/// without a match.
pub fn auto_cot(reply: &str, mark: &str, kind: AutoCotKind) -> String {
    let (text, marked) = behind(reply, mark);
    let mut matches: Vec<String> = match kind {
        AutoCotKind::Number => runs(&text.replace(',', ""), run_of_decimal),
        AutoCotKind::Letter(last) => {
            text.chars().filter(|letter| ('A'..=last).contains(letter)).map(String::from).collect()
        }
        AutoCotKind::YesNo => {
            let lower = text.to_lowercase();
            let words = lower.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '.' | ':' | ','));
            words.filter(|word| matches!(*word, "yes" | "no")).map(str::to_owned).collect()
        }
        AutoCotKind::Squeezed => {
            let kept = text.chars().filter(|c| !c.is_whitespace() && !matches!(c, '"' | '\'' | '.'));
            vec![kept.collect()]
        }
    };
    if matches.is_empty() {
        return String::new();
    }
    let chosen = if marked { matches.swap_remove(0) } else { matches.pop().unwrap_or_default() };
    chosen.strip_suffix('.').map(str::to_owned).unwrap_or(chosen)
}

/// Reasoning boundary (arXiv 2410.05695): the last number behind the last equals sign, commas dropped.
pub fn reasoning_boundary(reply: &str) -> Option<f64> {
    let (text, _) = behind(reply, "=");
    runs(&text.replace(',', ""), run_of_decimal).pop()?.parse().ok()
}

/// Reasoning boundary, when an answer is right: within 0.01 of the gold answer, signs ignored.
pub fn reasoning_boundary_agrees(found: f64, gold: f64) -> bool {
    (found.abs() - gold.abs()).abs() <= 0.01
}

/// What stands behind the last mark, and whether there is one.
fn behind<'a>(text: &'a str, mark: &str) -> (&'a str, bool) {
    match text.rfind(mark) {
        Some(at) => (&text[at + mark.len()..], true),
        None => (text, false),
    }
}

/// All runs in a text that do not overlap, from the left. `run` gives the end of the run that begins at a place, if one does.
fn runs(text: &str, run: impl Fn(&[u8], usize) -> Option<usize>) -> Vec<String> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < text.len() {
        match run(text.as_bytes(), at) {
            Some(end) => {
                found.push(text[at..end].to_owned());
                at = end;
            }
            None => at += 1,
        }
    }
    found
}

/// The end of the digits from `at` on.
fn digits(text: &[u8], mut at: usize) -> usize {
    while text.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

/// A perhaps negative run of digits.
fn run_of_digits(text: &[u8], at: usize) -> Option<usize> {
    let first = at + usize::from(text.get(at) == Some(&b'-'));
    Some(digits(text, first)).filter(|end| *end > first)
}

/// The same, then perhaps a point, then perhaps digits.
fn run_of_decimal(text: &[u8], at: usize) -> Option<usize> {
    let end = run_of_digits(text, at)?;
    Some(digits(text, end + usize::from(text.get(end) == Some(&b'.'))))
}

/// The same, with perhaps a slash before the point.
fn run_of_fobar(text: &[u8], at: usize) -> Option<usize> {
    let end = run_of_digits(text, at)?;
    let end = end + usize::from(text.get(end) == Some(&b'/'));
    Some(digits(text, end + usize::from(text.get(end) == Some(&b'.'))))
}

/// A number as a double prints, without a trailing `.0`; what is no number stays. (Python gives very large and very small ones an
/// exponent; here they are written out.)
fn without_zeros(run: &str) -> String {
    match run.parse::<f64>() {
        // Without the sign of a zero.
        Ok(0.0) => "0".into(),
        Ok(value) => format!("{value}"),
        Err(_) => run.to_owned(),
    }
}
