//! Units, orders, and sentences put together again.

use std::collections::BTreeMap;
use std::path::Path;

use backstitch_data::jsonl::read_jsonl_from;
use backstitch_language::Error;
use backstitch_language::facts::{Record, read_facts_from};
use backstitch_language::locality::Variable;
use backstitch_language::spt::{
    Arm, CARD, Kind, Order, OrderWeights, Parameters, Sentence, Spt, Unit, check_units, join, movable,
    read_sentences_from, words,
};
use backstitch_numerics::Stream;
use proptest::prelude::*;

fn spt() -> Spt {
    Spt::new(Parameters::default()).unwrap()
}

fn cut(text: &str, spans: &[(usize, usize)]) -> Vec<String> {
    spt().segment(text, spans).unwrap().iter().map(|unit| unit.text.to_owned()).collect()
}

fn kinds(text: &str, spans: &[(usize, usize)]) -> Vec<Kind> {
    spt().segment(text, spans).unwrap().iter().map(|unit| unit.kind).collect()
}

#[test]
fn rules_have_the_documented_priority() {
    use Kind::*;
    // An entity wins over the quote and the capitals that it covers; a quote wins over capitals.
    let text = "a \"Blue Book\" by Ada Birch, known for \"The X\" and more";
    assert_eq!(
        cut(text, &[]),
        ["a ", "\"Blue Book\" ", "by ", "Ada Birch, ", "known for ", "\"The X\" ", "and ", "more"]
    );
    assert_eq!(kinds(text, &[]), [Clause, Quote, Clause, Name, Connector, Quote, Connector, Clause]);
    assert_eq!(
        cut(text, &[(0, 13)]),
        ["a \"Blue Book\" ", "by ", "Ada Birch, ", "known for ", "\"The X\" ", "and ", "more"]
    );
    assert_eq!(kinds(text, &[(0, 13)])[0], Entity);
    // Spans may be given in any order, and may touch.
    assert_eq!(cut("abcdef", &[(3, 6), (0, 3)]), ["abc", "def"]);
}

#[test]
fn capitals_at_the_start_of_a_sentence_are_judged_by_the_word() {
    assert_eq!(
        cut("The old painter of Rome is Ada.", &[]),
        ["The old painter of ", "Rome ", "is ", "Ada", "."]
    );
    assert_eq!(cut("Ada Birch paints", &[]), ["Ada Birch ", "paints"]);
    assert_eq!(cut("Because I say so", &[]), ["Because ", "I say so"]);
    assert_eq!(cut("it rains. The sun sets", &[]), ["it rains. ", "The sun sets"]);
    assert_eq!(cut("by J. K. Rowling today", &[]), ["by ", "J. K. Rowling ", "today"]);
    assert_eq!(cut("ask Jean-Luc O'Neil again", &[]), ["ask ", "Jean-Luc O'Neil ", "again"]);
}

#[test]
fn clauses_end_at_marks_before_white_space() {
    assert_eq!(
        cut("he paid 3,000 at 12:30, then left; at last: gone", &[]),
        ["he paid 3,000 at 12:30, ", "then left; ", "at last: ", "gone"]
    );
    assert_eq!(cut("今日は雨、明日は晴れ。", &[]), ["今日は雨、", "明日は晴れ", "。"]);
    assert_eq!(cut("a quote \" never closed", &[]), ["a quote \" never closed"]);
    assert_eq!(cut("he has been known for years", &[]), ["he ", "has been known for ", "years"]);
}

#[test]
fn long_clauses_are_cut_into_pieces() {
    let pieces = |n| {
        let text = vec!["word"; n].join(" ");
        cut(&text, &[])
            .iter()
            .map(|unit| unit.split(' ').filter(|w| !w.is_empty()).count())
            .collect::<Vec<_>>()
    };
    assert_eq!(pieces(8), [8]);
    assert_eq!(pieces(9), [8, 1]);
    assert_eq!(pieces(20), [8, 8, 4]);
}

#[test]
fn spans_are_checked() {
    let error = |text: &str, spans: &[(usize, usize)]| spt().segment(text, spans).unwrap_err().to_string();
    assert_eq!(
        error("a longer sentence", &[(7, 12), (3, 9)]),
        "entity span [3,9) overlaps [7,12); give spans without common bytes"
    );
    assert!(error("short", &[(2, 9)]).contains("[2,9) ends after the sentence, which has 5 bytes"));
    assert!(error("short", &[(2, 2)]).contains("is empty"));
    assert!(error("short", &[(3, 2)]).contains("is empty"));
    assert!(error("naïve", &[(0, 3)]).contains("cuts a character in two"));
}

#[test]
fn degenerate_sentences_are_one_unit_or_none() {
    assert!(cut("", &[]).is_empty());
    for text in [" ", "...", " . ", "x", "\"", ",", "!?", "\u{301}"] {
        assert_eq!(cut(text, &[]), [text]);
    }
}

#[test]
fn final_marks_stay_last_in_every_order() {
    let text = " Ada Birch is the painter of \"Dawn\", who left?! ";
    for seed in 0..50 {
        let mut stream = Stream::new(seed, "test");
        for order in [Order::Original, Order::Reversed, Order::Permuted] {
            let out = spt().rearrange(text, &[], order, &mut stream).unwrap();
            assert!(
                out.text.ends_with("?! ") && out.text.starts_with(' ') && out.text.len() == text.len(),
                "{out:?}"
            );
        }
    }
    let reversed = spt().rearrange(text, &[], Order::Reversed, &mut Stream::new(0, "test")).unwrap();
    assert_eq!(reversed.text, " left who \"Dawn\", the painter of is Ada Birch?! ");
    // A mark inside an entity is no final mark.
    assert_eq!(cut("made by Acme Inc.", &[(8, 17)]), ["made by ", "Acme Inc."]);
}

#[test]
fn scripts_without_spaces_are_joined_without_spaces() {
    let out =
        spt().rearrange("今日は雨、明日は晴れ。", &[], Order::Reversed, &mut Stream::new(0, "test")).unwrap();
    assert_eq!(out.text, "明日は晴れ今日は雨、。");
}

#[test]
fn orders_are_drawn_with_their_weights() {
    let mut stream = Stream::new(0, "test");
    let mut count = |original, reversed, permuted| {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for _ in 0..30_000 {
            let weights = OrderWeights { original, reversed, permuted };
            let name = match Order::draw(&weights, &mut stream) {
                Order::Original => "original",
                Order::Reversed => "reversed",
                Order::Permuted => "permuted",
            };
            *counts.entry(name).or_default() += 1;
        }
        ["original", "reversed", "permuted"].map(|name| counts.get(name).copied().unwrap_or(0))
    };
    // Five standard errors of a share of one third are 408: a false alarm once in a million.
    assert!(count(1.0, 1.0, 1.0).iter().all(|&n| n.abs_diff(10_000) < 408));
    assert_eq!(count(0.0, 2.0, 0.0), [0, 30_000, 0]);
    assert_eq!(count(0.0, 0.0, 0.5), [0, 0, 30_000]);
    assert_eq!(count(0.5, 0.0, 0.0), [30_000, 0, 0]);
}

#[test]
fn permutations_of_units_are_uniform() {
    let units: Vec<Unit<'_>> = ["a ", "b ", "c"].map(|text| Unit { text, kind: Kind::Clause }).to_vec();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let mut stream = Stream::new(1, "test");
    for _ in 0..60_000 {
        *counts.entry(join(&units, &Order::Permuted.arrange(3, &mut stream))).or_default() += 1;
    }
    assert_eq!(counts.len(), 6);
    // Five standard errors of a share of one sixth: 456.
    assert!(counts.values().all(|&n| n.abs_diff(10_000) < 456), "{counts:?}");
}

#[test]
fn foreign_units_that_change_the_text_are_reported() {
    assert!(check_units("one two", &["one ", "two"]).is_ok());
    let error = check_units("one two", &["one", "two"]).unwrap_err();
    assert!(error.to_string().starts_with("segmenter changed the text at byte 3"), "{error}");
    assert!(matches!(check_units("one two", &["one "]), Err(Error::Changed { byte: 4 })));
    assert!(matches!(check_units("one", &["one", "!"]), Err(Error::Changed { byte: 3 })));

    let with = |units: &[&str]| Sentence {
        text: "one two".into(),
        units: Some(units.iter().map(|&unit| unit.to_owned()).collect()),
        ..Sentence::default()
    };
    let sentences = [with(&["one", "two"]), with(&["one ", "two"]), "three".into()];
    let only = OrderWeights { original: 0.0, reversed: 1.0, permuted: 0.0 };
    let spt = Spt::new(Parameters { weights: only, ..Parameters::default() }).unwrap();
    let all = spt.augment_all(&sentences, 2, 0).unwrap();
    let texts: Vec<&str> = all.texts.iter().map(|augmented| augmented.text.as_str()).collect();
    assert_eq!(texts, ["one two", "one two", "two one", "two one", "three", "three"]);
    assert_eq!((all.one_unit, all.reports.len(), all.reports[0].sentence), (1, 1, 0));
    assert_eq!(all.texts[0].order, Order::Original);

    let wrong = Sentence { spans: vec![(0, 99)], ..Sentence::from("x y") };
    assert!(matches!(spt.augment_all(&["x".into(), wrong], 1, 0), Err((1, Error::Span { .. }))));
}

#[test]
fn arms_do_what_their_names_say() {
    let sentence = Sentence::from("Ada Birch is the painter of dawn.");
    let texts = |arm| {
        let mut stream = Stream::new(0, "arms");
        let mut texts: Vec<String> =
            (0..400).map(|_| spt().draw(arm, &sentence, &mut stream).unwrap().text).collect();
        texts.sort();
        texts.dedup();
        texts
    };
    assert_eq!(texts(Arm::Standard), std::slice::from_ref(&sentence.text));
    assert_eq!(texts(Arm::WordReverse), [sentence.text.clone(), "dawn of painter the is Birch Ada.".into()]);
    assert_eq!(texts(Arm::UnitReverse), [sentence.text.clone(), "the painter of dawn is Ada Birch.".into()]);
    assert_eq!(texts(Arm::Permutation).len(), 6);
    assert!(texts(Arm::Permutation).iter().all(|text| text.contains("Ada Birch")));
    let shuffled = texts(Arm::WordShuffle);
    assert!(shuffled.len() > 100 && shuffled.iter().any(|text| !text.contains("Ada Birch")));
    assert!(shuffled.iter().all(|text| text.ends_with('.') && text.len() == sentence.text.len()));
}

#[test]
fn sentences_are_read_plain_or_as_json() {
    let read = |text: &str| read_sentences_from(text.as_bytes(), Path::new("s"));
    assert_eq!(read("one.\n\ntwo.\n").unwrap(), [Sentence::from("one."), Sentence::from("two.")]);
    let json = read("{\"text\": \"Ada paints\", \"spans\": [[0, 3]]}\n").unwrap();
    assert_eq!(json[0].spans, [(0, 3)]);
    assert!(read("").unwrap_err().to_string().contains("no sentences"));
    let error =
        read("{\"text\": \"x\"}\n\n{\"text\": \"Ada\", \"spans\": [[0, 9]]}").unwrap_err().to_string();
    assert!(error.starts_with("s, line 3: entity span [0,9) ends after"), "{error}");
    let error = read("{\"text\": \"x\"}\n{\"txt\": \"x\"}").unwrap_err().to_string();
    assert!(error.starts_with("s, line 2: unknown field `txt`"), "{error}");
}

#[test]
fn parameters_are_checked() {
    let with = |change: fn(&mut Parameters)| {
        let mut parameters = Parameters::default();
        change(&mut parameters);
        Spt::new(parameters).unwrap_err().to_string()
    };
    assert!(with(|p| p.weights.original = -1.0).contains("weights.original is -1"));
    assert!(
        with(|p| p.weights = OrderWeights { original: 0.0, reversed: 0.0, permuted: 0.0 })
            .contains("not all zero")
    );
    assert!(with(|p| p.weights.permuted = f64::NAN).contains("NaN"));
    assert!(with(|p| p.longest_unit = 0).contains("longest_unit is 0"));
    assert!(with(|p| p.connectors.push("known  for".into())).contains("\"known  for\""));
    assert!(with(|p| p.connectors.push(String::new())).contains("connectors"));
}

#[test]
fn threads_and_neighbours_do_not_change_a_sentence() {
    let sentences: Vec<Sentence> = (0..200)
        .map(|i| format!("Ada Birch, who is number {i}, lives in Rome and paints.").as_str().into())
        .collect();
    let all = spt().augment_all(&sentences, 3, 9).unwrap();
    let one = rayon_pool(1, || spt().augment_all(&sentences, 3, 9).unwrap());
    assert_eq!(all, one);
    let some = spt().augment_all(&sentences[..10], 3, 9).unwrap();
    assert_eq!(some.texts[..], all.texts[..30]);
}

fn rayon_pool<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

#[test]
fn units_are_those_of_the_rules_written_with_regular_expressions() {
    // Made by peers/spt_vectors.py, a second reading of the documented rules.
    #[derive(serde::Deserialize)]
    struct Case {
        text: String,
        spans: Vec<(usize, usize)>,
        units: Vec<(String, String)>,
    }
    let cases: Vec<Case> = serde_json::from_str(include_str!("../vectors/spt.json")).unwrap();
    assert!(cases.len() > 400);
    for Case { text, spans, units } in cases {
        let found = spt().segment(&text, &spans).unwrap();
        let found: Vec<(&str, Kind)> = found.iter().map(|unit| (unit.text, unit.kind)).collect();
        let expected: Vec<(&str, Kind)> =
            units.iter().map(|(text, kind)| (text.as_str(), kind_of(kind))).collect();
        assert_eq!(found, expected, "{text:?} {spans:?}");
    }
}

fn kind_of(name: &str) -> Kind {
    let kinds = [Kind::Entity, Kind::Quote, Kind::Name, Kind::Connector, Kind::Clause, Kind::Final];
    kinds.into_iter().find(|kind| serde_json::to_value(kind).unwrap() == name).unwrap()
}

#[test]
fn the_card_has_a_shelf_row() {
    assert!(CARD.bibtex().contains("2403.00758"));
}

/// Sentences with all that the rules look at, and characters of several bytes.
fn sentence() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-zA-Z]{1,6}",
        "[ ,;:.!?\"'’“”„«»()\\-]",
        Just(" ".to_owned()),
        Just(" is known for ".to_owned()),
        Just("Ada J. Birch ".to_owned()),
        Just("İstanbul ß ﬁ e\u{301} ".to_owned()),
        Just("今日、。".to_owned()),
        any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

fn without_space(text: &str) -> Vec<char> {
    let mut characters: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    characters.sort_unstable();
    characters
}

proptest! {
    #[test]
    fn readers_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in "[\\[\\]{}\":,a-z0-9 \\n]{0,80}") {
        let name = Path::new("any");
        for bytes in [bytes.as_slice(), text.as_bytes()] {
            let _ = read_sentences_from(bytes, name);
            let _ = read_facts_from(bytes, name);
            let _ = read_jsonl_from::<Record>(bytes, name);
            let _ = read_jsonl_from::<Variable>(bytes, name);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn units_joined_are_the_sentence(text in sentence(), cuts in proptest::collection::vec(0_usize..200, 0..6)) {
        // Spans between every other pair of character boundaries that were drawn.
        let mut at: Vec<usize> = cuts.into_iter().filter(|&at| at <= text.len() && text.is_char_boundary(at)).collect();
        at.sort_unstable();
        at.dedup();
        let spans: Vec<(usize, usize)> = at.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
        let spt = spt();
        let units = spt.segment(&text, &spans).unwrap();
        let pieces: Vec<&str> = units.iter().map(|unit| unit.text).collect();
        prop_assert_eq!(pieces.concat(), text.clone());
        prop_assert!(pieces.iter().all(|piece| !piece.is_empty()));
        prop_assert!(check_units(&text, &pieces).is_ok());
        // No unit boundary falls inside a span.
        let mut start = 0;
        for unit in &units {
            prop_assert!(spans.iter().all(|&(from, to)| start <= from || start >= to), "{:?}", units);
            start += unit.text.len();
        }
        let identity: Vec<usize> = (0..movable(&units)).collect();
        prop_assert_eq!(join(&units, &identity), text);
    }

    #[test]
    fn orders_change_white_space_only(text in sentence(), seed in 0_u64..1000) {
        let mut stream = Stream::new(seed, "test");
        for arm in Arm::ALL {
            let out = spt().draw(arm, &Sentence::from(text.as_str()), &mut stream).unwrap();
            prop_assert_eq!(without_space(&out.text), without_space(&text));
        }
        prop_assert_eq!(words(&text).iter().map(|unit| unit.text).collect::<String>(), text);
    }
}
