//! What the method promises, on small tasks.

use backstitch_continual::Error;
use backstitch_continual::cuber::{Cuber, Heads, Kind, Learner, Parameters, Strategy, Task, learn_all};
use backstitch_numerics::{Matrix, Stream};

/// Rows around one centre per class; the inputs a task sees lie where `inputs` says.
pub(crate) fn task(name: &str, width: usize, inputs: &[usize], seed: u64) -> Task {
    let mut centres = Stream::new(seed, "centres");
    let centres = Matrix::from_fn(3, inputs.len(), |_, _| 1.5 * centres.normal());
    let mut stream = Stream::new(seed, name);
    let labels: Vec<usize> = (0..240).map(|row| row % 3).collect();
    let mut rows = Matrix::zeros(240, width);
    for (row, label) in labels.iter().enumerate() {
        for (place, input) in inputs.iter().enumerate() {
            rows[(row, *input)] = centres[(*label, place)] + 0.5 * stream.normal();
        }
    }
    Task::new(name, rows, labels).unwrap()
}

pub(crate) fn parameters(strategy: Strategy) -> Parameters {
    Parameters {
        strategy,
        hidden: vec![24, 24],
        samples: 120,
        epochs: 8,
        rate: 0.05,
        ..Parameters::default()
    }
}

fn learner(parameters: Parameters) -> Learner {
    Cuber::new(parameters).unwrap().learner(12, 3).unwrap()
}

/// Two tasks that see different inputs, and the first once more, of other rows.
fn tasks() -> [Task; 3] {
    let (one, other): (Vec<usize>, Vec<usize>) = ((0..6).collect(), (6..12).collect());
    [task("first", 12, &one, 1), task("second", 12, &other, 2), task("again", 12, &one, 1)]
}

#[test]
fn every_strategy_learns_and_the_naive_one_forgets() {
    let [first, ..] = tasks();
    let others = first.labels().iter().map(|label| (label + 1) % 3).collect();
    let conflicting = [first.clone(), Task::new("other labels", first.inputs().clone(), others).unwrap()];
    let run = |strategy| {
        let mut learner = learner(parameters(strategy));
        let found = learn_all(&mut learner, &conflicting, &conflicting).unwrap();
        (found.gain(0).unwrap(), found.accuracy[0][0].unwrap())
    };
    for strategy in [Strategy::Cuber, Strategy::Trgp, Strategy::Gpm, Strategy::Ewc, Strategy::Naive] {
        assert!(run(strategy).1 > 0.9, "{strategy:?} does not learn its first task");
    }
    let naive = run(Strategy::Naive).0;
    assert!(naive < -0.2, "naive training forgot only {naive}");
    for strategy in [Strategy::Trgp, Strategy::Gpm] {
        let kept = run(strategy).0;
        assert!(kept > naive + 0.2 && kept > -0.1, "{strategy:?} forgot {kept}, naive training {naive}");
    }
}

#[test]
fn what_is_protected_stays() {
    for strategy in [Strategy::Gpm, Strategy::Trgp] {
        let mut learner = learner(Parameters { thresholds: vec![1.0], samples: 240, ..parameters(strategy) });
        let [first, second, _] = tasks();
        learner.learn(&first).unwrap();
        let before = learner.predict(0, first.inputs()).unwrap();
        learner.learn(&second).unwrap();
        let after = learner.predict(0, first.inputs()).unwrap();
        let apart = before.values().iter().zip(after.values()).map(|(one, other)| (one - other).abs());
        assert!(apart.fold(0.0, f64::max) < 1e-9, "{strategy:?}");
        assert!(learner.accuracy(0, &first).unwrap() > 0.9);
    }
}

#[test]
fn a_task_that_comes_back_is_in_accord() {
    let mut learner = learner(Parameters { epochs: 2, rate: 0.01, ..parameters(Strategy::Cuber) });
    for task in tasks() {
        learner.learn(&task).unwrap();
    }
    let second: Vec<_> = learner.learned()[1].relations().next().unwrap().to_vec();
    assert_eq!(
        second[0].kind,
        Kind::Apart,
        "a task of other inputs has nothing to do with the first: {second:?}"
    );
    assert!(second[0].share < 1e-9);
    let again: Vec<_> = learner.learned()[2].relations().next().unwrap().to_vec();
    assert_eq!(again[0].kind, Kind::Updated, "{again:?}");
    assert!(again[0].cosine > 0.5 && again[0].share > 0.9 && again[0].free > 0, "{again:?}");
    assert_eq!(again[1].kind, Kind::Apart, "{again:?}");
}

#[test]
fn no_updates_make_it_trgp_and_no_scales_gpm() {
    let weights = |parameters: Parameters| {
        let mut learner = learner(parameters);
        tasks().iter().for_each(|task| learner.learn(task).unwrap());
        learner.weights().to_vec()
    };
    let of_trgp = weights(parameters(Strategy::Trgp));
    // No two gradients have this cosine.
    assert_eq!(weights(Parameters { positive: 1.0, ..parameters(Strategy::Cuber) }), of_trgp);
    let of_gpm = weights(parameters(Strategy::Gpm));
    assert_eq!(weights(Parameters { related: 0, ..parameters(Strategy::Trgp) }), of_gpm);
    assert_ne!(of_trgp, of_gpm);
}

#[test]
fn the_penalty_holds_updates_back() {
    let moved = |penalty: f64| {
        let mut learner =
            learner(Parameters { penalty, epochs: 2, thresholds: vec![1.0], ..parameters(Strategy::Cuber) });
        let [first, _, again] = tasks();
        learner.learn(&first).unwrap();
        let before = learner.weights()[0].clone();
        learner.learn(&again).unwrap();
        let apart = before.values().iter().zip(learner.weights()[0].values());
        apart.map(|(one, other)| (one - other).powi(2)).sum::<f64>().sqrt()
    };
    // Both tasks see the same six inputs, so a step moves the first layer in the directions of the first task only.
    assert!(moved(0.0) > 0.1);
    assert!(moved(1.0) < 0.7 * moved(0.0), "{} and {}", moved(1.0), moved(0.0));
    assert!(moved(100.0) < 1e-12, "{}", moved(100.0));
}

#[test]
fn a_constant_input_is_protected() {
    let mut learner =
        learner(Parameters { bias: true, thresholds: vec![1.0], samples: 240, ..parameters(Strategy::Gpm) });
    let [first, second, _] = tasks();
    learner.learn(&first).unwrap();
    assert_eq!(learner.weights()[0].columns(), 13);
    let before = learner.predict(0, first.inputs()).unwrap();
    learner.learn(&second).unwrap();
    let after = learner.predict(0, first.inputs()).unwrap();
    for (one, other) in before.values().iter().zip(after.values()) {
        assert!((one - other).abs() < 1e-9);
    }
}

#[test]
fn heads_of_their_own_are_left_alone() {
    let mut learner = learner(Parameters { heads: Heads::Own, ..parameters(Strategy::Cuber) });
    let tasks = tasks();
    let found = learn_all(&mut learner, &tasks, &tasks).unwrap();
    assert!(found.average().unwrap() > 0.9);
    assert_eq!(found.accuracy[0][1], None, "a task without a head cannot be classified");
    assert_eq!(found.forward_transfer(), None);
    assert!(found.backward_transfer().unwrap() > -0.05);
}

#[test]
fn joint_training_learns_all() {
    for heads in [Heads::Shared, Heads::Own] {
        let tasks = tasks();
        let learner = Cuber::new(Parameters { heads, ..parameters(Strategy::Cuber) })
            .unwrap()
            .joint(&tasks, 3)
            .unwrap();
        for (place, task) in tasks.iter().enumerate() {
            assert!(learner.accuracy(place, task).unwrap() > 0.9, "{heads:?}, task {place}");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_weights() {
    let weights = |seed| {
        let mut learner = learner(Parameters { seed, ..parameters(Strategy::Cuber) });
        tasks().iter().for_each(|task| learner.learn(task).unwrap());
        learner.weights().to_vec()
    };
    assert_eq!(weights(1), weights(1));
    assert_ne!(weights(1), weights(2));
}

#[test]
fn a_full_layer_says_so() {
    let mut learner = learner(Parameters { thresholds: vec![1.0], ..parameters(Strategy::Gpm) });
    for task in tasks() {
        learner.learn(&task).unwrap();
    }
    assert_eq!(learner.capacity().next().unwrap(), (12, 12));
}

#[test]
fn bad_tasks_and_parameters_are_refused_and_change_nothing() {
    let message = |found: Result<(), Error>| found.unwrap_err().to_string();
    let mut learner = learner(parameters(Strategy::Cuber));
    let [first, ..] = tasks();
    learner.learn(&first).unwrap();
    let before = learner.clone();
    let narrow = task("narrow", 5, &[0, 1], 1);
    assert_eq!(
        message(learner.learn(&narrow)),
        "task narrow: its rows have 5 inputs, but the network has 12; all tasks need the same columns"
    );
    let labels = (0..240).map(|row| row % 4).collect();
    let more = Task::new("more", first.inputs().clone(), labels).unwrap();
    assert!(
        message(learner.learn(&more))
            .starts_with("task more: it has label 3, but the shared head has 3 classes")
    );
    let few = Task::new("few", Matrix::zeros(4, 12), vec![0, 1, 2, 0]).unwrap();
    assert!(
        message(learner.learn(&few))
            .starts_with("task few: it has 4 rows, but 120 are wanted for its directions")
    );
    assert_eq!(learner, before);
    let one_class = Task::new("flat", Matrix::zeros(3, 12), vec![1, 1, 1]);
    assert_eq!(
        message(one_class.map(drop)),
        "task flat: all 3 rows have one class; a task needs two classes or more"
    );
    let mut rows = Matrix::zeros(2, 12);
    rows[(1, 4)] = f64::NAN;
    assert!(
        message(Task::new("gap", rows, vec![0, 1]).map(drop))
            .starts_with("task gap: input 5 of row 2 is NaN")
    );
    for (changed, name) in [
        (Parameters { epochs: 0, ..Parameters::default() }, "epochs is 0"),
        (Parameters { rate: -1.0, ..Parameters::default() }, "rate is -1"),
        (Parameters { thresholds: vec![1.5], ..Parameters::default() }, "a threshold is 1.5"),
        (Parameters { sufficient: 2.0, ..Parameters::default() }, "sufficient is 2"),
        (Parameters { penalty: f64::NAN, ..Parameters::default() }, "penalty is NaN"),
        (Parameters { hidden: vec![4, 0], ..Parameters::default() }, "the number of hidden units is 0"),
    ] {
        assert!(message(Cuber::new(changed).map(drop)).starts_with(name));
    }
    let mut wild = Cuber::new(Parameters { rate: 1e200, ..parameters(Strategy::Naive) })
        .unwrap()
        .learner(12, 3)
        .unwrap();
    assert!(message(wild.learn(&first)).starts_with("training diverged in task first, step"));
    assert!(wild.learned().is_empty());
}
