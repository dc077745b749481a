//! What is masked.

use backstitch_llm::answer::Rational;
use backstitch_reason::fobar::{masked, masks, unknown};
use proptest::prelude::*;

fn found(text: &str) -> Vec<(&str, String)> {
    masks(text).iter().map(|mask| (&text[mask.start..mask.end], mask.value.to_string())).collect()
}

fn pairs<'a>(pairs: &[(&'a str, &str)]) -> Vec<(&'a str, String)> {
    pairs.iter().map(|(text, value)| (*text, (*value).to_owned())).collect()
}

#[test]
fn numbers_are_masked_and_labels_are_not() {
    for (text, expected) in [
        ("Ann has 4, Bob has $1.90.", pairs(&[("4", "4"), ("1.90", "1.9")])),
        ("an angle of 60°. and 22%.", pairs(&[("60", "60"), ("22", "22")])),
        (
            "1,000 people and 2/3 of 1.5e5",
            pairs(&[
                ("1,000", "1000"),
                ("2/3", &Rational::new(2, 3).unwrap().to_string()),
                ("1.5e5", "150000"),
            ]),
        ),
        ("5 apples and 5 pears", pairs(&[("5", "5"), ("5", "5")])),
        ("Two friends eat half of ten pies", pairs(&[("Two", "2"), ("half", "0.5"), ("ten", "10")])),
        ("The 3rd of 21 runners came 1st", pairs(&[("21", "21")])),
        ("On 1/2/2024 at 12:30 he paid 7", pairs(&[("7", "7")])),
        ("Which one is it? The last one, no one knows; one another", pairs(&[])),
        ("She buys one pen", pairs(&[("one", "1")])),
        ("twenty-five, one-way, X5, tenth", pairs(&[])),
        ("a 5-year plan at -3 degrees", pairs(&[("5", "5"), ("-3", "-3")])),
        ("no numbers", pairs(&[])),
    ] {
        assert_eq!(found(text), expected, "{text}");
    }
}

#[test]
fn one_number_is_replaced_at_a_time() {
    let text = "Ann has $5 and 5 pears.";
    let all: Vec<String> = masks(text).iter().map(|mask| masked(text, mask, "x")).collect();
    assert_eq!(all, ["Ann has $x and 5 pears.", "Ann has $5 and x pears."]);
}

#[test]
fn the_unknown_is_not_a_word_of_the_question() {
    assert_eq!(unknown("What is 2 + 2?"), "x");
    assert_eq!(unknown("Let x be 5."), "y");
    assert_eq!(unknown("X marks the spot; y not?"), "z");
    assert_eq!(unknown("an x-ray and an axe"), "x");
    assert_eq!(unknown("u v w x y z x1"), "x2");
}

proptest! {
    /// Masks lie in the text, apart from each other, and putting the number back gives the text.
    #[test]
    fn masks_have_their_places(text in "(?s)(one|half|[0-9]{1,4}|[-,./:$% a-z\n]|.){0,40}") {
        let all = masks(&text);
        prop_assert!(all.windows(2).all(|pair| pair[0].end <= pair[1].start));
        for mask in all {
            let hidden = masked(&text, &mask, "?");
            let back = format!("{}{}{}", &hidden[..mask.start], &text[mask.start..mask.end], &hidden[mask.start + 1..]);
            prop_assert_eq!(&back, &text);
        }
        // A text that uses the name as a word gets another.
        let name = unknown(&text);
        prop_assert_ne!(unknown(&format!("{text} {name}")), name);
    }
}
