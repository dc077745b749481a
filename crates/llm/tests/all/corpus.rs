//! What the embedded models are trained on.

use std::collections::BTreeSet;

use backstitch_llm::answer::{Answer, Kind, extract, extract_behind};
use backstitch_llm::corpus::{Example, arithmetic};
use backstitch_numerics::Stream;

/// The equations of a completion, checked: `left sign right = value`.
fn check_equations(example: &Example) {
    let mut equations = 0;
    for sentence in example.completion.split('.').filter(|sentence| sentence.contains('=')) {
        let parts: Vec<&str> = sentence.split_whitespace().collect();
        let number = |place: usize| parts[place].parse::<u32>().unwrap();
        let (left, right, value) = (number(0), number(2), number(4));
        let holds = match parts[1] {
            "+" => left + right == value,
            "-" => left == right + value,
            "*" => left * right == value,
            "/" => left == right * value,
            sign => panic!("{sign}"),
        };
        assert!(holds && value <= 99, "{example:?}");
        equations += 1;
    }
    assert!((1..=2).contains(&equations), "{example:?}");
}

#[test]
fn arithmetic_is_right_forward_and_backward() {
    let mut stream = Stream::new(1, "test of the corpus");
    for _ in 0..500 {
        let problem = arithmetic::held_out(&mut stream);
        let forward = problem.forward();
        check_equations(&forward);
        let number = |value: u32| Some(Answer::Number(i64::from(value).into()));
        assert_eq!(extract(&forward.completion, Kind::Number), number(problem.answer()), "{forward:?}");
        for (unknown, &value) in problem.numbers.iter().enumerate() {
            let backward = problem.backward(unknown);
            check_equations(&backward);
            let found = extract_behind(&backward.completion, &["the value of x is"], Kind::Number);
            assert_eq!(found, number(value), "{backward:?}");
            let words = backward.prompt.split(|character: char| !character.is_alphanumeric());
            assert_eq!(words.filter(|word| *word == "x").count(), 2, "{backward:?}");
        }
    }
}

#[test]
fn held_out_problems_are_no_examples() {
    let mut stream = Stream::new(2, "test of the corpus");
    // Names and things do not make a problem another one.
    let bare = |prompt: &str| -> String {
        let names =
            ["Ann", "Ben", "Eva", "Max", "Mia", "Tom", "apples", "books", "cards", "coins", "pens", "stones"];
        names.iter().fold(prompt.to_owned(), |text, name| text.replace(name, "_"))
    };
    let learned: BTreeSet<String> =
        (0..20_000).map(|_| bare(&arithmetic::example(&mut stream).prompt)).collect();
    let held_out: Vec<_> = (0..5_000).map(|_| arithmetic::held_out(&mut stream)).collect();
    assert!(held_out.iter().all(|problem| !learned.contains(&bare(&problem.forward().prompt))));
    // Both kinds: numbers beyond the range learned with a template, and other combinations within it.
    let large = held_out.iter().filter(|problem| problem.numbers.iter().any(|&number| number > 20)).count();
    assert!((1_000..4_900).contains(&large), "{large}");
    assert!(held_out.iter().any(|problem| problem.numbers.iter().all(|&number| number <= 20)));
}
