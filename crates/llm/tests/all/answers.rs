//! The robust rule: what people write, and properties over random numbers and texts.

use backstitch_llm::answer::{Answer, Kind, Rational, extract, numbers, parse};
use proptest::prelude::*;

fn number(text: &str) -> Option<Rational> {
    match extract(text, Kind::Number) {
        Some(Answer::Number(number)) => Some(number),
        None => None,
        other => panic!("{other:?}"),
    }
}

fn ratio(numerator: i128, denominator: i128) -> Option<Rational> {
    Some(Rational::new(numerator, denominator).unwrap())
}

#[test]
fn spellings_of_five_are_equal() {
    for text in [
        "5",
        "5.0",
        "$5",
        "5,000/1000",
        "The answer is 5.",
        "The answer is $5.00.",
        "#### 5",
        "Answer: 5%",
        "answer is: **5**",
        "so \\boxed{5}.",
        "0.5e1",
        "The answer is 2 + 3 = 5 apples.",
        "10/2",
        "005",
        "+5",
        "€5",
        "5€",
        "5kg",
        "THE ANSWER IS 5",
        "First 7, then 9. The answer is 4. No wait, the answer is 5.",
        "We count 3, and then 5",
    ] {
        assert_eq!(number(text), ratio(5, 1), "{text}");
    }
}

#[test]
fn numbers_are_read_as_they_are_written() {
    for (text, expected) in [
        ("The answer is -3.", ratio(-3, 1)),
        ("The answer is -$3.50.", ratio(-7, 2)),
        ("The answer is \u{2212}3.", ratio(-3, 1)),
        ("It is 10-3", ratio(3, 1)),
        ("The answer is 1,234,567.", ratio(1_234_567, 1)),
        ("The answer is 2/3 of it.", ratio(2, 3)),
        ("The answer is -2/3.", ratio(-2, 3)),
        ("The answer is .5", ratio(1, 2)),
        ("The answer is 1.5e5 miles", ratio(150_000, 1)),
        ("The answer is 5 eggs", ratio(5, 1)),
        ("The answer is 25%.", ratio(25, 1)),
        ("The answer is 3.\nThat is 7 less than 10.", ratio(3, 1)),
        ("The answer is 12:30", ratio(12, 1)),
        ("The answer is unclear, but 7 fits", ratio(7, 1)),
        ("I get 7. The answer is above.", ratio(7, 1)),
        ("The answer is x1", None),
        ("The answer is 1/0", None),
        ("none", None),
        ("", None),
        ("The answer is 1234567890123456789012345678901234567890.", None),
    ] {
        assert_eq!(number(text), expected, "{text}");
    }
}

#[test]
fn numbers_in_a_text_have_their_places() {
    let found = |text: &str| -> Vec<(String, String)> {
        numbers(text).iter().map(|n| (text[n.start..n.end].to_owned(), n.value.to_string())).collect()
    };
    let pair = |text: &str, value: &str| (text.to_owned(), value.to_owned());
    let text = "Ann has $5, pays 1,000 for 3rd-class and 2.5, 4.";
    assert_eq!(
        found(text),
        [pair("5", "5"), pair("1,000", "1000"), pair("3", "3"), pair("2.5", "2.5"), pair("4", "4")]
    );
    // A date is not a fraction, a list is not a number in thousands, a range has no negative end.
    assert_eq!(found("1/2/2024"), [pair("1", "1"), pair("2", "2"), pair("2024", "2024")]);
    assert_eq!(found("1,2,345,67"), [pair("1", "1"), pair("2,345", "2345"), pair("67", "67")]);
    assert_eq!(found("5-3"), [pair("5", "5"), pair("3", "3")]);
    assert_eq!(found("x1 B2B a_3"), []);
    assert_eq!(found("é5 5é"), [pair("5", "5")]);
}

#[test]
fn letters_of_options() {
    let letter = |text: &str| match extract(text, Kind::Choice { options: 5 }) {
        Some(Answer::Choice(letter)) => Some(letter),
        None => None,
        other => panic!("{other:?}"),
    };
    for (text, expected) in [
        ("The answer is (B).", Some('B')),
        ("The answer is B", Some('B')),
        ("The answer is (b).", Some('B')),
        ("Answer: C) 21", Some('C')),
        ("A train is fast. So D) fits", Some('D')),
        ("A train is fast.", None),
        ("E", Some('E')),
        ("e.", Some('E')),
        ("The answer is F.", None),
        ("(A) is wrong, so the answer is (E) not (A).", Some('E')),
        ("I think about it.", None),
        ("Let A) be the first. Then\nD", Some('D')),
        ("With (A) it fails. Correct answer - E", Some('E')),
        ("The chance P(A) is 1/2. Answer = E", Some('E')),
        ("No answer among A, B", None),
    ] {
        assert_eq!(letter(text), expected, "{text}");
    }
    assert_eq!(extract("(C)", Kind::Choice { options: 2 }), None);
}

#[test]
fn verdicts_and_texts() {
    for (text, expected) in [
        ("Yes, because no one else came.", Some(true)),
        ("The coin was flipped. So the answer is no.", Some(false)),
        ("The answer is True.", Some(true)),
        ("They differ, so no", Some(false)),
        ("nobody knows", None),
    ] {
        assert_eq!(extract(text, Kind::YesNo), expected.map(Answer::YesNo), "{text}");
    }
    for (text, expected) in [
        ("The answer is \"Ny\".", Some("ny")),
        ("So the answer is: New  York.", Some("new york")),
        ("The letters make \"ab\" and then \"cd\"", Some("cd")),
        ("no mark, no quotes", None),
        ("Answer: **Paris**", Some("paris")),
    ] {
        assert_eq!(extract(text, Kind::Text), expected.map(|text| Answer::Text(text.into())), "{text}");
    }
}

#[test]
fn gold_answers() {
    assert_eq!(parse("He has 3 * 6 = 18.\n#### 18", Kind::Number), extract("18", Kind::Number));
    assert_eq!(parse(" 1,000 ", Kind::Number), extract("1000.0", Kind::Number));
    assert_eq!(parse("B", Kind::Choice { options: 5 }), Some(Answer::Choice('B')));
    assert_eq!(parse("Paris", Kind::Text), Some(Answer::Text("paris".into())));
    assert_eq!(parse("$5 each", Kind::Number), extract("5", Kind::Number));
    assert_eq!(parse("5 or 6", Kind::Number), None);
    assert_eq!(parse("many", Kind::Number), None);
    assert_eq!(parse("", Kind::Text), None);
}

/// A number with at most 15 digits that count, and how many decimals it is written with.
fn decimals() -> impl Strategy<Value = (i64, u32)> {
    (-999_999_999_999_999_i64..=999_999_999_999_999, 0_u32..=6)
}

/// The decimal `value / 10^decimals`, with its digits grouped if wanted.
fn written((value, decimals): (i64, u32), grouped: bool) -> String {
    let digits = format!("{:0>width$}", value.unsigned_abs(), width = decimals as usize + 1);
    let (whole, part) = digits.split_at(digits.len() - decimals as usize);
    let mut text = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if grouped && index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    let sign = if value < 0 { "-" } else { "" };
    if part.is_empty() { format!("{sign}{text}") } else { format!("{sign}{text}.{part}") }
}

proptest! {
    /// However a number is written, and whatever stands around it, its value is found.
    #[test]
    fn a_stated_number_is_found(
        given in decimals(), grouped: bool,
        mark in prop::sample::select(vec!["The answer is ", "#### ", "Answer: ", "so the answer is $", "= \\boxed{"]),
        before in "[a-z0-9 .,=$]{0,40}", after in prop::sample::select(vec!["", ".", " apples.", "%", "\n\nDone 3 times."]),
    ) {
        let text = written(given, grouped);
        let text = match mark.strip_suffix('$') {
            // The sign comes before the currency.
            Some(mark) => format!("{mark}{}${}", if text.starts_with('-') { "-" } else { "" }, text.trim_start_matches('-')),
            None => format!("{mark}{text}"),
        };
        let expected = ratio(given.0.into(), 10_i128.pow(given.1));
        prop_assert_eq!(number(&format!("{before} {text}{after}")), expected);
    }

    /// What is printed is read back as the same number.
    #[test]
    fn printed_numbers_are_read_back(numerator in -1_000_000_000_000_i64..1_000_000_000_000, denominator in 1_i64..1_000_000) {
        let value = Rational::new(numerator.into(), denominator.into()).unwrap();
        prop_assert_eq!(number(&value.to_string()), Some(value));
        prop_assert_eq!(-(-value), value);
    }

    /// The order is that of the fractions; equal fractions are the same value.
    #[test]
    fn fractions_are_ordered(a in -1000_i64..1000, b in 1_i64..1000, c in -1000_i64..1000, d in 1_i64..1000, factor in 1_i64..1000) {
        let one = Rational::new(a.into(), b.into()).unwrap();
        let other = Rational::new(c.into(), d.into()).unwrap();
        prop_assert_eq!(one.cmp(&other), (a * d).cmp(&(c * b)));
        prop_assert_eq!(one, Rational::new((a * factor).into(), (b * factor).into()).unwrap());
        prop_assert_eq!(one, Rational::new((-a).into(), (-b).into()).unwrap());
    }

    /// Texts of any kind are no harm, and what is found has its place in the text.
    #[test]
    fn any_text_is_no_harm(text in "(?s).{0,200}", noise in "[-0-9a-eA-E.,/$%=#(){}\\\\\"' \n]{0,80}") {
        for text in [text, noise] {
            for kind in [Kind::Number, Kind::Choice { options: 26 }, Kind::YesNo, Kind::Text] {
                extract(&text, kind);
                parse(&text, kind);
            }
            let found = numbers(&text);
            prop_assert!(found.iter().all(|number| !text[number.start..number.end].is_empty()));
            prop_assert!(found.windows(2).all(|pair| pair[0].end <= pair[1].start));
        }
    }

    /// An answer in its normal form is its own normal form.
    #[test]
    fn normal_forms_are_fixed_points(text in "[a-zA-Z0-9 .\"]{0,40}") {
        if let Some(Answer::Text(once)) = parse(&text, Kind::Text) {
            // A mark inside the text starts it anew.
            prop_assume!(!once.contains("answer"));
            prop_assert_eq!(parse(&once, Kind::Text), Some(Answer::Text(once)));
        }
    }
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let nines = "9".repeat(18);
    for text in
        [format!("{nines}.{nines}e18"), format!("{nines}/0.000000000000000001"), format!("1e-18/{nines}")]
    {
        // Read or left, but not wrong and no panic.
        if let Some(value) = number(&text) {
            assert!(value > Rational::from(0), "{text}");
        }
    }
    assert_eq!(Rational::new(1, 0), None);
    assert_eq!(Rational::new(i128::MIN, 1), None);
    let (one, other) = (Rational::new(i128::MAX, 3).unwrap(), Rational::new(i128::MAX - 1, 3).unwrap());
    assert!(one > other);
}
