//! The rules of official repositories, with their quirks. Expected values were computed by regular expressions of the same form in
//! Python 3.

use backstitch_llm::answer::paper::{
    AutoCotKind, auto_cot, fobar, fobar_choice, reasoning_boundary, reasoning_boundary_agrees,
};

const MARK: &str = "The answer is";

#[test]
fn fobar_takes_the_last_number() {
    for (reply, expected) in [
        ("The answer is 18.", "18"),
        ("The answer is $1,234.50.", "1234.5"),
        ("so 3 + 4 = 7", "7"),
        ("The answer is 3/4.", "3/4"),
        ("The answer is 1.5/2", "2"),
        ("The answer is 1/ or so", "1"),
        ("The answer is 5.0 or -2.", "-2"),
        ("The answer is -0.", "0"),
        ("no number", ""),
        ("The answer is 4. The answer is 5", "5"),
        ("the answer is 6 of 8 7", "7"),
        ("The answer is 10-3", "-3"),
        ("The answer is 3.14.15", "15"),
        ("The answer is 12/.5", "12/.5"),
    ] {
        assert_eq!(fobar(reply, MARK), expected, "{reply}");
    }
    assert_eq!(fobar("x = 7. The value of x is 3.50.", "The value of x is"), "3.5");
    assert_eq!(fobar_choice("So B. The answer is (C) and not A.", MARK), "C");
    // Any word has letters.
    assert_eq!(fobar_choice("The answer is probably C", MARK), "B");
    assert_eq!(fobar_choice("I take C", MARK), "C");
    assert_eq!(fobar_choice("", MARK), "");
}

#[test]
fn auto_cot_by_kind() {
    let with = |reply, kind| auto_cot(reply, MARK, kind);
    assert_eq!(with("It is 3. The answer is 1,200 of 1,500.", AutoCotKind::Number), "1200");
    assert_eq!(with("First 3, then 7.", AutoCotKind::Number), "7");
    assert_eq!(with("The answer is 5.0.", AutoCotKind::Number), "5.0");
    assert_eq!(with("nothing", AutoCotKind::Number), "");
    assert_eq!(with("The answer is (B) or D.", AutoCotKind::Letter('E')), "B");
    assert_eq!(with("The answer is F.", AutoCotKind::Letter('E')), "");
    assert_eq!(with("The answer is Yes. No doubt.", AutoCotKind::YesNo), "yes");
    assert_eq!(with("yes or no", AutoCotKind::YesNo), "no");
    assert_eq!(with("The answer is \"n y\".", AutoCotKind::Squeezed), "ny");
}

#[test]
fn reasoning_boundary_ignores_signs() {
    assert_eq!(reasoning_boundary("2 + 3 = 5, and 5 * 1,000 = 5,000 dollars"), Some(5000.0));
    assert_eq!(reasoning_boundary("about 12 or 13"), Some(13.0));
    assert_eq!(reasoning_boundary("nothing"), None);
    assert!(reasoning_boundary_agrees(-5.0, 5.0));
    assert!(reasoning_boundary_agrees(5.005, 5.0));
    assert!(!reasoning_boundary_agrees(5.02, 5.0));
}
