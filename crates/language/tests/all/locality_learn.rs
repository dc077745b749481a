//! Training on observations, as small as it can be.

use backstitch_language::locality::{
    Distances, Estimator, LearnerParameters, Lessons, Observer, Policy, Query, Samples, Shape, ValueTokens,
    Vocabulary, ask, chain, learn, observe_all,
};
use backstitch_nn::{Scorer, TrainingParameters, cpu};

fn near_chain() -> (Vocabulary, Distances, Samples) {
    let net = chain(0.5, &[[0.1, 0.9], [0.9, 0.1]]).unwrap();
    (Vocabulary::new(net.names(), ValueTokens::Own), net.distances(), Samples::draw(&net, 4000, 1))
}

fn small(steps: u64) -> LearnerParameters {
    let training = TrainingParameters { steps, learning_rate: 1e-2, ..TrainingParameters::default() };
    LearnerParameters { shape: Shape::Gpt2, width: 16, layers: 1, heads: 2, batch: 64, training }
}

/// P(Y1 = 1 | Y0) is 0.1 and 0.9: a decoder that saw neighbours says so.
#[test]
fn a_decoder_learns_what_it_saw() {
    let (vocabulary, distances, samples) = near_chain();
    let observer = Observer::new(Policy::default(), &distances, &[(0, 2)]).unwrap();
    let seen = observe_all(&samples, &observer, 1).unwrap();
    let mut losses = Vec::new();
    let model = learn(&seen, &vocabulary, &small(1000), 1, &cpu(), |_, loss| losses.push(loss)).unwrap();
    assert_eq!(losses.len(), 1000);
    assert!(losses[999] < losses[0]);
    let scorer = Scorer::new(&model);
    let query = |value, truth| Query { pair: 0, target: 1, condition: 0, value, truth, marginal: 0.5 };
    let asked = [query(false, 0.1), query(true, 0.9)];
    let estimates = Estimator::new(&vocabulary, ask(&scorer)).direct(&asked).unwrap();
    for (query, value) in asked.iter().zip(&estimates.values) {
        assert!((value.unwrap() - query.truth).abs() < 0.1, "{query:?}: {value:?}");
    }
}

/// The batch of a step depends on the step alone, and a pass sees every sequence once.
#[test]
fn a_batch_depends_on_the_step_alone() {
    let (vocabulary, distances, samples) = near_chain();
    let observer = Observer::new(Policy::default(), &distances, &[]).unwrap();
    let seen = observe_all(&samples, &observer, 2).unwrap()[..2048].to_vec();
    let lessons = || Lessons::new(&seen, &vocabulary, &small(1), 3).unwrap();
    let (mut forward, mut backward) = (lessons(), lessons());
    let ahead: Vec<_> = (1..=32).map(|step| forward.batch(step).unwrap()).collect();
    for step in (1..=32).rev() {
        assert_eq!(backward.batch(step).unwrap(), ahead[step as usize - 1]);
    }
    // 32 batches of 64 are the 2048 sequences: every token but the first of each is a target once.
    let targets: usize = ahead.iter().map(|batch| batch.targets_count()).sum();
    assert_eq!(targets, lessons().tokens() - seen.len());
    assert_ne!(Lessons::new(&seen, &vocabulary, &small(1), 4).unwrap().batch(1).unwrap(), ahead[0]);
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    for parameters in [
        LearnerParameters { heads: 3, ..small(1) },
        LearnerParameters { width: 0, ..small(1) },
        LearnerParameters { batch: 0, ..small(1) },
        small(0),
    ] {
        assert!(parameters.validate().is_err(), "{parameters:?}");
    }
    let (vocabulary, _, _) = near_chain();
    assert!(Lessons::new(&[], &vocabulary, &small(1), 0).is_err());
}
