//! The index against the formula, written out plainly.

use backstitch_data::bm25::{Bm25, Bm25Parameters, Hit};
use proptest::prelude::*;

const TEXTS: [&str; 5] = [
    "The Kelda flows north, past the old mill.",
    "A lake in the south; no river flows there.",
    "",
    "Kelda Kelda KELDA",
    "Änderung der alten Mühle an der Kelda_2",
];

fn words(text: &str) -> Vec<String> {
    text.split(|character: char| !character.is_alphanumeric() && character != '_')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

/// The formula of the module, with no index.
fn plain(texts: &[String], query: &str, Bm25Parameters { k1, b }: Bm25Parameters) -> Vec<f64> {
    let texts: Vec<Vec<String>> = texts.iter().map(|text| words(text)).collect();
    let average = texts.iter().map(Vec::len).sum::<usize>() as f64 / texts.len() as f64;
    let score = |text: &Vec<String>| {
        let add = |word: &String| {
            let with = texts.iter().filter(|text| text.contains(word)).count() as f64;
            let count = text.iter().filter(|other| *other == word).count() as f64;
            if count == 0.0 {
                return 0.0;
            }
            let rarity = (1.0 + (texts.len() as f64 - with + 0.5) / (with + 0.5)).ln();
            rarity * count / (count + k1 * (1.0 - b + b * text.len() as f64 / average))
        };
        words(query).iter().map(add).sum()
    };
    texts.iter().map(score).collect()
}

fn best(scores: &[f64], most: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).filter(|text| scores[*text] > 0.0).collect();
    order.sort_by(|one, other| scores[*other].total_cmp(&scores[*one]).then(one.cmp(other)));
    order.truncate(most);
    order
}

fn places(hits: &[Hit]) -> Vec<usize> {
    hits.iter().map(|hit| hit.text).collect()
}

#[test]
fn scores_are_those_of_the_formula() {
    let texts = TEXTS.map(str::to_owned);
    for parameters in
        [Bm25Parameters::default(), Bm25Parameters { k1: 1.5, b: 0.0 }, Bm25Parameters { k1: 0.0, b: 1.0 }]
    {
        let index = Bm25::new(&texts, parameters).unwrap();
        for query in ["kelda", "Where does the Kelda flow? the the", "MÜHLE kelda_2", "nothing of it", ""] {
            let expected = plain(&texts, query, parameters);
            let hits = index.search(query, 10);
            assert_eq!(places(&hits), best(&expected, 10), "{query}");
            for hit in hits {
                assert!((hit.score - expected[hit.text]).abs() < 1e-12);
            }
        }
    }
}

#[test]
fn equals_stay_in_their_order() {
    let index = Bm25::new(["same words"; 30], Bm25Parameters::default()).unwrap();
    assert_eq!(places(&index.search("words", 4)), [0, 1, 2, 3]);
    assert_eq!(places(&index.search("words", 0)), [0; 0]);
    assert_eq!(index.len(), 30);
}

#[test]
fn no_texts_are_an_empty_index() {
    let index = Bm25::new::<&str>([], Bm25Parameters::default()).unwrap();
    assert!(index.is_empty() && index.search("words", 3).is_empty());
    assert!(Bm25::new(["", " - "], Bm25Parameters::default()).unwrap().search("words", 3).is_empty());
}

#[test]
fn parameters_outside_their_range_are_named() {
    let of = |k1, b| Bm25::new(TEXTS, Bm25Parameters { k1, b }).unwrap_err().to_string();
    assert_eq!(of(-1.0, 0.5), "k1 is -1, but must be 0 or more; 1.2 is usual");
    assert_eq!(of(f64::NAN, 0.5), "k1 is NaN, but must be 0 or more; 1.2 is usual");
    assert_eq!(of(1.0, 1.5), "b is 1.5, but must be 0 to 1; 0.75 is usual");
}

proptest! {
    #[test]
    fn the_index_is_the_formula(
        texts in prop::collection::vec("[abcd ]{0,12}", 1..20),
        query in "[abcde ]{0,8}",
        most in 0_usize..8,
    ) {
        let parameters = Bm25Parameters::default();
        let expected = plain(&texts, &query, parameters);
        let hits = Bm25::new(&texts, parameters).unwrap().search(&query, most);
        prop_assert_eq!(hits.len(), best(&expected, most).len());
        let mut previous = f64::INFINITY;
        for hit in hits {
            // Sums in another order may differ in the last bits, and so may the order of equals.
            prop_assert!((hit.score - expected[hit.text]).abs() < 1e-12);
            prop_assert!(hit.score <= previous);
            previous = hit.score;
        }
    }
}
