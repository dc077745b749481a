//! The formulas, and the choices of the published trees made again.

use std::fs;

use backstitch_data::DataDirectory;
use backstitch_data::catalogue::public_set;
use backstitch_llm::answer::span;
use backstitch_reason::probtree::recorded::{Gold, read_recorded};
use backstitch_reason::probtree::score::{combined, most_confident};
use backstitch_reason::probtree::{Combination, Module};

#[test]
fn the_formulas() {
    let of = |combination| combined(Some(-0.3), Some(-0.1), &[Some(-0.2), Some(-1.0)], combination).unwrap();
    assert!((of(Combination::Mean) + 1.6 / 4.0).abs() < 1e-15);
    assert!((of(Combination::Sum) + 1.6).abs() < 1e-15);
    assert!((of(Combination::WithoutDecomposition) + 1.5 / 3.0).abs() < 1e-15);
    let mean =
        |own, decomposition, below: &[Option<f64>]| combined(own, decomposition, below, Combination::Mean);
    assert_eq!(mean(None, Some(-0.1), &[Some(-0.2)]), None);
    assert_eq!(mean(Some(-0.1), None, &[Some(-0.2)]), None);
    assert_eq!(mean(Some(-0.1), Some(-0.1), &[Some(-0.2), None]), None);
    assert!(combined(Some(-0.2), None, &[Some(-0.4)], Combination::WithoutDecomposition).is_some());
}

#[test]
fn the_choice() {
    assert_eq!(most_confident(&[(true, Some(-0.2)), (true, Some(-0.1)), (true, Some(-0.1))]), Some(1));
    assert_eq!(most_confident(&[(true, None), (true, Some(-50.0))]), Some(1));
    // A confidence without an answer is none.
    assert_eq!(most_confident(&[(false, Some(-0.1)), (true, None), (true, None)]), Some(1));
    assert_eq!(most_confident(&[(false, None), (false, Some(0.0))]), None);
    assert_eq!(most_confident(&[]), None);
}

#[test]
fn what_is_no_recorded_tree_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("trees.json");
    let refused = |text: &str| {
        fs::write(&file, text).unwrap();
        read_recorded(&file).unwrap_err().to_string().replace(&file.display().to_string(), "FILE")
    };
    let leaf = r#"{"question": "A", "sons": [], "qd_logprob": null, "cb_answer": ["x", -1], "ob_answer": ["y", -2], "answer": ["x", -1]}"#;
    assert_eq!(refused("[[]]"), "FILE, tree 0, node 0: there is no node");
    let own = leaf.replace("[],", "[0],");
    assert_eq!(
        refused(&format!("[[{own}]]")),
        "FILE, tree 0, node 0: a sub-question does not come before it"
    );
    let childless = leaf.replace("[],", "[0],");
    assert_eq!(
        refused(&format!("[[{leaf}, {childless}]]")),
        "FILE, tree 0, node 1: sub-questions without an answer from them, or the other way round"
    );
    assert!(refused("[[{}]]").starts_with("FILE: missing field"));
    assert!(read_recorded(&folder.path().join("none.json")).is_err());
    fs::write(&file, format!("[[{leaf}]]")).unwrap();
    assert_eq!(read_recorded(&file).unwrap()[0].choose(Combination::Mean)[0].place, Some(0));
}

/// All of what the authors published of HotpotQA: 1,493 nodes, 496 of them with sub-questions.
#[test]
fn the_published_choices_come_out_again() {
    let directory = DataDirectory::resolve(None).expect("a data directory");
    let file = |name: &str| {
        let set = public_set(name).unwrap();
        let paths = directory.files_of(set).unwrap_or_else(|error| panic!("{error}"));
        Some(paths?.remove(0))
    };
    let (Some(trees), Some(gold)) = (file("probtree-hotpotqa"), file("hotpotqa-dev")) else {
        println!("skipped: {} does not hold the trees and their answers", directory.root().display());
        return;
    };
    let (trees, gold) = (read_recorded(&trees).unwrap(), Gold::read(&gold).unwrap());
    let (mut leaves, mut inner) = ((0, 0, 0), (0, 0, 0, 0));
    let mut totals = [(0.0, 0.0); 4];
    let mut best = 0.0;
    for tree in &trees {
        let chosen = tree.choose(Combination::Mean);
        for (node, chosen) in tree.nodes.iter().zip(&chosen) {
            let winner = chosen.place.map(|place| &node.candidates[place]);
            assert_eq!(winner.map_or("", |winner| &winner.text), node.published.0, "{}", node.question);
            match chosen.place.and_then(|place| chosen.confidences[place]) {
                Some(confidence) => {
                    assert!((confidence - node.published.1).abs() <= 1e-9, "{}", node.question)
                }
                None => assert_eq!(node.published.1, -100.0),
            }
            match (winner.map(|winner| winner.module), node.children.is_empty()) {
                (Some(Module::ClosedBook), true) => leaves.0 += 1,
                (Some(Module::OpenBook), true) => leaves.1 += 1,
                (None, true) => leaves.2 += 1,
                (Some(Module::ClosedBook), false) => inner.0 += 1,
                (Some(Module::OpenBook), false) => inner.1 += 1,
                (Some(Module::Children), false) => inner.2 += 1,
                _ => inner.3 += 1,
            }
        }
        let root = tree.root().unwrap();
        let gold = gold.of(&root.question).unwrap();
        let mut texts = vec![root.published.0.as_str()];
        texts.extend(root.candidates.iter().map(|candidate| candidate.text.as_str()));
        // A question that was not taken apart has no answer from sub-questions; it is what was chosen.
        texts.resize(4, texts[0]);
        for (total, text) in totals.iter_mut().zip(&texts) {
            *total = (total.0 + f64::from(u8::from(span::exact(text, gold))), total.1 + span::f1(text, gold));
        }
        best += texts.iter().map(|text| span::f1(text, gold)).fold(0.0, f64::max);
    }
    assert_eq!(
        (trees.len(), leaves.0 + leaves.1 + leaves.2, inner.0 + inner.1 + inner.2 + inner.3),
        (500, 997, 496)
    );
    assert_eq!((leaves, inner), ((229, 768, 0), (40, 157, 299, 0)));
    let percent = |sum: f64| (sum / 5.0 * 10.0).round() / 10.0;
    let [final_answer, closed, open, children] = totals.map(|(exact, f1)| (percent(exact), percent(f1)));
    println!(
        "final {final_answer:?}, closed {closed:?}, open {open:?}, children {children:?}, best {:?}",
        percent(best)
    );
    assert_eq!(final_answer, (50.4, 64.1));
    assert_eq!(open, (49.6, 63.9));
    assert_eq!(closed, (34.8, 46.7));
}
