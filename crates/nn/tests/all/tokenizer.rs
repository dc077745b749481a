//! Tokenizers: what goes in comes out, and files that are none are refused.

use std::path::PathBuf;

use backstitch_nn::Tokenizer;
use proptest::prelude::*;

#[test]
fn words_are_numbered_by_first_appearance() {
    let tokenizer = Tokenizer::words(&["The cat, the mat.", "A cat!"], &["[END]"]).unwrap();
    assert_eq!(tokenizer.size(), 10);
    let tokens = tokenizer.encode("the cat . unheard").unwrap();
    assert_eq!(tokens, [5, 3, 7, 0]);
    assert_eq!(tokenizer.token("[END]"), Some(1));
    assert_eq!(tokenizer.word(2).as_deref(), Some("The"));
    assert_eq!(tokenizer.encode("cat [END] cat").unwrap(), [3, 1, 3]);
    assert_eq!(tokenizer.decode(&[2, 3, 4]).unwrap(), "The cat ,");
}

#[test]
fn a_written_tokenizer_is_the_same_tokenizer() {
    for tokenizer in [Tokenizer::words(&["a b c"], &[]).unwrap(), Tokenizer::bytes().unwrap()] {
        let again = Tokenizer::parse(tokenizer.to_json().unwrap().as_bytes()).unwrap();
        assert_eq!(again.encode("b a !").unwrap(), tokenizer.encode("b a !").unwrap());
        assert_eq!(again.to_json().unwrap(), tokenizer.to_json().unwrap());
    }
}

#[test]
fn an_empty_text_is_an_error() {
    let message = Tokenizer::words(&["a"], &[]).unwrap().encode("").unwrap_err().to_string();
    assert!(message.contains("is empty"), "{message}");
}

#[test]
fn files_that_are_no_tokenizers_are_refused() {
    assert!(Tokenizer::parse(b"").unwrap_err().contains("not a Hugging Face tokenizer"));
    assert!(
        Tokenizer::parse(b"{\"model\": {\"type\": \"Nothing\"}}").unwrap_err().contains("not a Hugging Face")
    );
    assert!(Tokenizer::parse(&[0xff, 0xfe]).unwrap_err().contains("not UTF-8"));
    assert!(Tokenizer::read(&PathBuf::from("absent.json")).unwrap_err().to_string().contains("absent.json"));
}

proptest! {
    #[test]
    fn bytes_come_back(text in "\\PC{1,40}") {
        let tokenizer = Tokenizer::bytes().unwrap();
        let tokens = tokenizer.encode(&text).unwrap();
        prop_assert_eq!(&tokens, &text.bytes().map(u32::from).collect::<Vec<_>>());
        prop_assert_eq!(tokenizer.decode(&tokens).unwrap(), text);
    }
}
