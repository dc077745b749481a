//! Learners as files.

use backstitch_continual::cuber::{Cuber, Heads, Learner, Parameters, Strategy};

use super::cuber::{parameters, task};

fn learned(heads: Heads, strategy: Strategy) -> Learner {
    let mut learner =
        Cuber::new(Parameters { heads, ..parameters(strategy) }).unwrap().learner(12, 3).unwrap();
    for (name, seed) in [("first", 1), ("second", 2)] {
        learner.learn(&task(name, 12, &[0, 1, 2, 3, 4, 5], seed)).unwrap();
    }
    learner
}

#[test]
fn a_file_gives_the_learner_back_and_it_goes_on() {
    for heads in [Heads::Shared, Heads::Own] {
        for strategy in [Strategy::Cuber, Strategy::Ewc, Strategy::Naive] {
            let mut learner = learned(heads, strategy);
            let (mut again, text) = Learner::from_bytes(&learner.to_bytes("a text").unwrap()).unwrap();
            assert_eq!(again, learner, "{heads:?} {strategy:?}");
            assert_eq!(text, "a text");
            let third = task("third", 12, &[0, 1, 2], 3);
            learner.learn(&third).unwrap();
            again.learn(&third).unwrap();
            assert_eq!(again, learner, "{heads:?} {strategy:?}");
        }
    }
}

#[test]
fn files_that_are_none_are_refused() {
    let refusal = |bytes: &[u8]| Learner::from_bytes(bytes).unwrap_err().to_string();
    assert!(refusal(b"").starts_with("this is no whole safetensors file"));
    let whole = learned(Heads::Shared, Strategy::Cuber).to_bytes("").unwrap();
    assert!(refusal(&whole[..whole.len() - 8]).starts_with("this is no whole safetensors file"));
    // The header is text; lengths stay as they are.
    let replaced = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let at = whole.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
        let mut bytes = whole.clone();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    assert!(
        refusal(&replaced("backstitch/cuber-model/1", "backstitch/cuber-model/9")).contains("its schema is")
    );
    assert!(refusal(&replaced("layer.1.weights", "layer.7.weights")).contains("layer.1.weights is missing"));
    assert!(refusal(&replaced("\\\"inputs\\\":12", "\\\"inputs\\\":13")).contains("must be 24 × 13"));
    assert!(refusal(&replaced("\\\"rate\\\":0.05", "\\\"rate\\\":-0.5")).contains("rate is -0.5"));
}
