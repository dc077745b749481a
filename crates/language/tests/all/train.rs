//! Small decoders trained on facts, and asked for them.

use backstitch_language::Error;
use backstitch_language::facts::{Fact, FactSet, Group, Record, people_templates};
use backstitch_language::reversal_curse::Parameters;
use backstitch_language::train::{Course, FitParameters, Learned, LossOn, Witness};
use backstitch_nn::Checkpoint;

fn set() -> FactSet {
    let fact = |name: &str, description: &str, group| Fact {
        name: name.into(),
        description: description.into(),
        group,
    };
    let facts = vec![
        fact("Ada Birch", "gifted composer of autumn", Group::NameToDescription),
        fact("Bruno Crane", "humble painter of thunder", Group::DescriptionToName),
        fact("Celia O'Hara-Frost", "famous weaver of amber, now retired", Group::Both),
    ];
    FactSet::new(facts, &people_templates().unwrap())
}

fn course(set: &FactSet, parameters: FitParameters) -> Course {
    let texts: Vec<String> = set.train.iter().chain(&set.test).map(Record::text).collect();
    Course::new(&texts, set.train.len(), 1, parameters).unwrap()
}

fn learned(parameters: FitParameters) -> Learned {
    let set = set();
    let lesson = |course: &Course, _, _, example: usize| {
        course.lesson(&set.train[example].prompt, &set.train[example].completion)
    };
    course(&set, parameters).learn(lesson).unwrap()
}

/// Also for targets with marks inside, which a word-level tokenizer does not write back as they were.
#[test]
fn what_was_trained_is_answered_exactly() {
    let set = set();
    for loss in [LossOn::Everything, LossOn::Completion] {
        let learned = learned(FitParameters { steps: 250, width: 32, loss, ..FitParameters::default() });
        let witness = Witness::new(&learned.checkpoint, &set.facts).unwrap();
        let evaluation = witness.evaluate(&set, &set.train, &Parameters::default()).unwrap();
        let right = evaluation.answers.iter().filter(|answer| answer.exact).count();
        assert_eq!(right, evaluation.answers.len(), "{loss:?}");
        // The greedy answer is the likeliest candidate too.
        assert!(evaluation.answers.iter().all(|answer| answer.above == 0), "{loss:?}");
    }
}

#[test]
fn a_seed_gives_the_same_weights_and_another_one_others() {
    let weights = |seed| {
        let learned = learned(FitParameters { steps: 5, width: 16, seed, ..FitParameters::default() });
        learned.checkpoint.files().unwrap()["model.safetensors"].clone()
    };
    assert!(weights(0) == weights(0));
    assert!(weights(0) != weights(1));
}

#[test]
fn the_loss_on_completions_leaves_prompts_out() {
    let set = set();
    let first = |loss| {
        let course = course(&set, FitParameters { loss, ..FitParameters::default() });
        let lesson = course.lesson("Ada Birch is the", " gifted composer of autumn").unwrap();
        (lesson.first_target, lesson.tokens.len())
    };
    assert_eq!(first(LossOn::Everything), (1, 9));
    assert_eq!(first(LossOn::Completion), (4, 9));
}

#[test]
fn mistakes_are_named() {
    let learned = learned(FitParameters { steps: 1, width: 16, ..FitParameters::default() });
    let stranger =
        [Fact { name: "Zoltan".into(), description: "gifted composer of autumn".into(), group: Group::Both }];
    let error = Witness::new(&learned.checkpoint, &stranger).unwrap_err();
    assert!(matches!(&error, Error::UnknownWords { text } if text == "Zoltan"), "{error}");
    let bare = Checkpoint { tokenizer: None, ..learned.checkpoint.clone() };
    assert!(matches!(Witness::new(&bare, &[]).unwrap_err(), Error::NoTokenizer));
    let set = set();
    let witness = Witness::new(&learned.checkpoint, &set.facts).unwrap();
    let long = "Ada Birch is the ".repeat(50);
    let error = witness.complete(&[long]).unwrap_err();
    assert!(error.to_string().contains("longer than the context"), "{error}");
    for parameters in [
        FitParameters { steps: 0, ..FitParameters::default() },
        FitParameters { batch: 0, ..FitParameters::default() },
        FitParameters { width: 30, ..FitParameters::default() },
    ] {
        assert!(matches!(parameters.validate().unwrap_err(), Error::Parameter { .. }));
    }
}
