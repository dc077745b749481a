//! Estimates of conditional probabilities, held to models whose answers are known.

use backstitch_language::Error;
use backstitch_language::locality::{
    CountModel, Estimator, FreeParameters, Network, Observer, Policy, Query, Radius, Samples, ValueTokens,
    Vocabulary, chain, check_held_out, gap_table, negative_scaffolds, observe_all, paired_differences,
    queries, scaffolds,
};
use backstitch_numerics::Stream;
use backstitch_numerics::bootstrap::cluster_bootstrap;

use crate::locality::{full_joint, random, summed};

/// A model that knows the joint distribution and chooses every variable not yet given with equal probability.
fn oracle<'a>(
    net: &Network,
    vocabulary: &'a Vocabulary,
) -> impl FnMut(&[Vec<u32>]) -> Result<Vec<Vec<f64>>, Error> + use<'a> {
    let full = full_joint(net);
    let n = net.len();
    move |prompts| {
        Ok(prompts
            .iter()
            .map(|prompt| {
                let mut log = vec![f64::NEG_INFINITY; vocabulary.len()];
                let body = &prompt[2..];
                let given: Vec<(usize, bool)> = body
                    .chunks_exact(2)
                    .map(|pair| {
                        let variable = vocabulary.named(pair[0]).unwrap();
                        (variable, vocabulary.said(variable, pair[1]).unwrap())
                    })
                    .collect();
                if body.len() % 2 == 0 {
                    let open: Vec<usize> = (0..n).filter(|v| given.iter().all(|(w, _)| w != v)).collect();
                    open.iter().for_each(|&v| {
                        log[vocabulary.variable(v) as usize] = -(open.len() as f64).ln();
                    });
                } else {
                    let asked = vocabulary.named(*body.last().unwrap()).unwrap();
                    let matches = |x: &usize| given.iter().all(|&(v, value)| (x >> v & 1 == 1) == value);
                    let mass = |bit: usize| -> f64 {
                        (0..full.len()).filter(|x| matches(x) && x >> asked & 1 == bit).map(|x| full[x]).sum()
                    };
                    let (zero, one) = (mass(0), mass(1));
                    log[vocabulary.value(asked, false) as usize] = (zero / (zero + one)).ln();
                    log[vocabulary.value(asked, true) as usize] = (one / (zero + one)).ln();
                }
                log
            })
            .collect())
    }
}

fn all_queries(net: &Network) -> Vec<Query> {
    let n = net.len();
    let apart: Vec<(usize, usize)> = (0..n)
        .flat_map(|a| (a + 1..n).map(move |b| (a, b)))
        .filter(|&(a, b)| net.distances().get(a, b).is_some_and(|d| d > 1))
        .collect();
    queries(&net.pairs().unwrap(), &apart, 1e-3).queries
}

#[test]
fn with_a_perfect_model_all_exact_routes_give_the_truth() {
    for seed in 0..6 {
        let net = random(8, 9, seed);
        let asked = all_queries(&net);
        let values = if seed % 2 == 0 { ValueTokens::Shared } else { ValueTokens::Own };
        let vocabulary = Vocabulary::new(net.names(), values);
        let right = scaffolds(&net, &asked).unwrap();
        let wrong = negative_scaffolds(8, &asked, &right, seed);
        let mut estimator = Estimator::new(&vocabulary, oracle(&net, &vocabulary));
        for estimates in [
            estimator.direct(&asked).unwrap(),
            estimator.scaffolded(&asked, &right).unwrap(),
            estimator.scaffolded(&asked, &wrong).unwrap(),
        ] {
            for (query, value) in asked.iter().zip(&estimates.values) {
                assert!((value.unwrap() - query.truth).abs() < 1e-9, "{query:?} {value:?}");
            }
            assert!(estimates.warnings().is_empty() && estimates.mass.lowest > 1.0 - 1e-9);
        }
    }
}

#[test]
fn sampling_a_scaffold_approaches_the_exact_sum() {
    let net = random(8, 9, 1);
    let asked = all_queries(&net);
    let vocabulary = Vocabulary::new(net.names(), ValueTokens::Shared);
    let right = scaffolds(&net, &asked).unwrap();
    let mut estimator = Estimator::new(&vocabulary, oracle(&net, &vocabulary));
    let sampled = estimator.scaffolded_by_sampling(&asked, &right, 400, 0).unwrap();
    let free = estimator.free(&asked, &FreeParameters { runs: 400, most_steps: 100 }, 0).unwrap();
    for estimates in [&sampled, &free] {
        for (query, value) in asked.iter().zip(&estimates.values) {
            // A mean of 400 numbers in [0, 1] with mean p: five and a half standard errors at most.
            let error = 5.5 * (query.truth * (1.0 - query.truth) / 400.0).sqrt() + 1e-9;
            assert!((value.unwrap() - query.truth).abs() <= error, "{query:?} {value:?}");
        }
    }
    assert_eq!((free.runs, free.discarded), (400 * asked.len(), 0));
    // Chosen uniformly among the seven left, the target comes after three others on average.
    assert!((free.mean_steps - 3.0).abs() < 0.1, "{}", free.mean_steps);
    let again = estimator.free(&asked, &FreeParameters { runs: 400, most_steps: 100 }, 0).unwrap();
    assert_eq!(free, again);
    assert_ne!(
        free.values,
        estimator.free(&asked, &FreeParameters { runs: 400, most_steps: 100 }, 1).unwrap().values
    );
}

#[test]
fn runs_that_never_come_to_the_target_are_discarded_and_counted() {
    let net = random(8, 9, 1);
    let asked = all_queries(&net);
    let vocabulary = Vocabulary::new(net.names(), ValueTokens::Shared);
    let mut estimator = Estimator::new(&vocabulary, oracle(&net, &vocabulary));
    let one = estimator.free(&asked, &FreeParameters { runs: 200, most_steps: 1 }, 0).unwrap();
    // The first choice is the target with probability one in seven.
    let kept = 1.0 - one.discarded as f64 / one.runs as f64;
    assert!((kept - 1.0 / 7.0).abs() < 0.02, "{kept}");
    assert_eq!(one.mean_steps, 0.0);
    assert!(one.warnings()[0].contains("never chose the target"));
    // A model that never names the target.
    let never = |prompts: &[Vec<u32>]| {
        let mut answers = oracle(&net, &vocabulary)(prompts)?;
        for (prompt, answer) in prompts.iter().zip(&mut answers) {
            if prompt.len() % 2 == 0 {
                answer[prompt[1] as usize] = f64::NEG_INFINITY;
                let other = if prompt[1] == 1 { 2 } else { 1 };
                answer[other] = -0.5;
            }
        }
        Ok(answers)
    };
    let none =
        Estimator::new(&vocabulary, never).free(&asked[..2], &FreeParameters { runs: 3, most_steps: 5 }, 0);
    let none = none.unwrap();
    assert_eq!((none.values.clone(), none.discarded), (vec![None; 2], 6));
    assert!(none.warnings()[1].contains("2 queries have no estimate"));
}

#[test]
fn little_mass_on_the_values_is_reported_and_does_not_bias() {
    let net = random(8, 9, 2);
    let asked = all_queries(&net);
    let vocabulary = Vocabulary::new(net.names(), ValueTokens::Shared);
    let mut sure = oracle(&net, &vocabulary);
    let unsure = |prompts: &[Vec<u32>]| {
        let mut answers = sure(prompts)?;
        answers.iter_mut().for_each(|answer| answer[9..11].iter_mut().for_each(|log| *log += 0.5_f64.ln()));
        Ok(answers)
    };
    let estimates = Estimator::new(&vocabulary, unsure).direct(&asked).unwrap();
    assert!(
        asked.iter().zip(&estimates.values).all(|(query, value)| (value.unwrap() - query.truth).abs() < 1e-9)
    );
    assert_eq!((estimates.mass.below, estimates.mass.readings), (asked.len(), asked.len()));
    assert!(estimates.warnings()[0].contains("below 0.9 (lowest 0.500)"), "{:?}", estimates.warnings());
}

#[test]
fn on_a_chain_of_neighbours_direct_is_the_marginal_and_the_chain_is_the_truth() {
    // The theory of the paper with counts instead of a network: ten variables, neighbours only.
    let mut stream = Stream::new(3, "chain");
    let transitions: Vec<[f64; 2]> =
        (0..9).map(|_| [0.05 + 0.2 * stream.uniform(), 0.75 + 0.2 * stream.uniform()]).collect();
    let net = chain(0.5, &transitions).unwrap();
    let distances = net.distances();
    let apart: Vec<(usize, usize)> = (0..10).flat_map(|a| (a + 2..10).map(move |b| (a, b))).collect();
    let near = Policy { radius: Radius::Geometric { success: 1.0 }, drop: 0.0 };
    let observer = Observer::new(near, &distances, &apart).unwrap();
    let seen = observe_all(&Samples::draw(&net, 4_000_000, 0), &observer, 0).unwrap();
    let vocabulary = Vocabulary::new(net.names(), ValueTokens::Shared);
    assert_eq!(check_held_out(&seen, &apart, &vocabulary).unwrap(), 4_000_000);
    let model = CountModel::fit(&seen, &vocabulary);
    assert!(model.has_seen(3, 4) && model.has_seen(4, 3) && !model.has_seen(3, 5));

    let asked = queries(&net.pairs().unwrap(), &apart, 1e-3).queries;
    assert_eq!(asked.len(), 36 * 4);
    let through: Vec<Vec<usize>> = asked
        .iter()
        .map(|query| match query.condition < query.target {
            true => (query.condition + 1..query.target).collect(),
            false => (query.target + 1..query.condition).rev().collect(),
        })
        .collect();
    let mut estimator = Estimator::new(&vocabulary, |prompts: &[Vec<u32>]| model.next(prompts));
    let direct = estimator.direct(&asked).unwrap();
    let scaffolded = estimator.scaffolded(&asked, &through).unwrap();
    let table = gap_table(&asked, &[("direct", &direct.values), ("scaffolded", &scaffolded.values)]);
    let [marginal, direct_row, scaffolded_row] = &table[..] else { panic!("{table:?}") };
    assert!(marginal.to_truth > 0.01 && marginal.to_marginal == 0.0);
    let worst = |values: &[Option<f64>], wanted: fn(&Query) -> f64| {
        asked
            .iter()
            .zip(values)
            .map(|(query, value)| (value.unwrap() - wanted(query)).abs())
            .fold(0.0, f64::max)
    };
    // About 300,000 samples per neighbouring pair and at least 60,000 per value of its condition: a standard error of 1.8e-3 per
    // conditional at most; errors of earlier steps shrink by the factor of every later one.
    assert!(worst(&direct.values, |query| query.marginal) < 5e-3, "{direct_row:?}");
    assert!(worst(&scaffolded.values, |query| query.truth) < 5e-3, "{scaffolded_row:?}");
    assert!(direct_row.to_marginal < 3.3e-6 && scaffolded_row.to_truth < 3.3e-6, "{table:?}");
    let gap = paired_differences(&asked, &direct.values, &scaffolded.values);
    assert_eq!((gap.len(), gap[0].len()), (36, 4));
    let interval = cluster_bootstrap(&gap, &mut Stream::new(0, "test")).unwrap();
    assert!(interval.lower > 0.0);
}

#[test]
fn without_noise_the_theory_of_the_chain_is_exact() {
    let mut stream = Stream::new(5, "chain");
    let transitions: Vec<[f64; 2]> = (0..9).map(|_| [stream.uniform(), stream.uniform()]).collect();
    let net = chain(0.3, &transitions).unwrap();
    let pairs = net.pairs().unwrap();
    let vocabulary = Vocabulary::new(net.names(), ValueTokens::Shared);
    let neighbours: Vec<(usize, usize)> = net.edges().collect();
    let model = CountModel::of_pairs(&pairs, &neighbours, &vocabulary).unwrap();
    let apart: Vec<(usize, usize)> = (0..10).flat_map(|a| (a + 2..10).map(move |b| (a, b))).collect();
    let asked = queries(&pairs, &apart, 1e-3).queries;
    let between = |query: &Query, skipped: usize| -> Vec<usize> {
        match query.condition < query.target {
            true => (query.condition + 1..query.target - skipped).collect(),
            false => (query.target + 1 + skipped..query.condition).rev().collect(),
        }
    };
    let through: Vec<Vec<usize>> = asked.iter().map(|query| between(query, 0)).collect();
    // One link left out: nothing reaches the target, and the estimate is the marginal again.
    let broken: Vec<Vec<usize>> = asked.iter().map(|query| between(query, 1)).collect();
    let mut estimator = Estimator::new(&vocabulary, |prompts: &[Vec<u32>]| model.next(prompts));
    let direct = estimator.direct(&asked).unwrap();
    let scaffolded = estimator.scaffolded(&asked, &through).unwrap();
    let interrupted = estimator.scaffolded(&asked, &broken).unwrap();
    for (place, query) in asked.iter().enumerate() {
        assert!((direct.values[place].unwrap() - query.marginal).abs() < 1e-12);
        assert!((scaffolded.values[place].unwrap() - query.truth).abs() < 1e-12);
        assert!((interrupted.values[place].unwrap() - query.marginal).abs() < 1e-12);
    }
    assert!(CountModel::of_pairs(&pairs, &[(0, 10)], &vocabulary).is_err());
}

#[test]
fn answers_of_the_wrong_shape_are_refused() {
    let net = random(8, 9, 1);
    let asked = all_queries(&net);
    let vocabulary = Vocabulary::new(net.names(), ValueTokens::Shared);
    let ask = |answers: fn(usize) -> Vec<Vec<f64>>| {
        Estimator::new(&vocabulary, |prompts: &[Vec<u32>]| Ok(answers(prompts.len())))
            .direct(&asked)
            .unwrap_err()
            .to_string()
    };
    assert!(ask(|n| vec![vec![-1.0; 11]; n - 1]).contains("answers for"));
    assert!(
        ask(|n| vec![vec![-1.0; 10]; n]).contains("10 log-probabilities, but the vocabulary has 11 tokens")
    );
    assert!(ask(|n| vec![vec![f64::NAN; 11]; n]).contains("NaN"));
    assert!(ask(|n| vec![vec![1.0; 11]; n]).contains("must be at most 0"));
    assert!(ask(|n| vec![vec![f64::NEG_INFINITY; 11]; n]).contains("excludes both values"));
    let silent = |prompts: &[Vec<u32>]| Ok(vec![vec![f64::NEG_INFINITY; 11]; prompts.len()]);
    let error = Estimator::new(&vocabulary, silent).free(&asked, &FreeParameters::default(), 0).unwrap_err();
    assert!(error.to_string().contains("excludes all variables"), "{error}");
    let broken = |_: &[Vec<u32>]| Err(Error::model("gone"));
    assert_eq!(
        Estimator::new(&vocabulary, broken).direct(&asked).unwrap_err().to_string(),
        "the model failed: gone"
    );

    let mut estimator = Estimator::new(&vocabulary, oracle(&net, &vocabulary));
    assert!(estimator.scaffolded(&asked, &[]).unwrap_err().to_string().contains("0 lists"));
    let long = vec![vec![0; 13]; asked.len()];
    assert!(estimator.scaffolded(&asked, &long).unwrap_err().to_string().contains("13 variables"));
    assert!(estimator.scaffolded_by_sampling(&asked, &long, 0, 0).is_err());
    assert!(estimator.free(&asked, &FreeParameters { runs: 1, most_steps: 0 }, 0).is_err());
    assert!(estimator.direct(&[]).unwrap().values.is_empty());
    let wrong = CountModel::fit(&[], &vocabulary).next(&[vec![0]]).unwrap_err().to_string();
    assert!(wrong.contains("another form"), "{wrong}");
}

#[test]
fn the_oracle_of_these_tests_is_the_joint_distribution() {
    let net = random(6, 6, 0);
    let full = full_joint(&net);
    assert!((full.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    let joint = summed(&full, &[2, 4]);
    let vocabulary = Vocabulary::new(net.names(), ValueTokens::Shared);
    let prompt = vocabulary.prompt(2, &[(4, true)], Some(2));
    let answer = oracle(&net, &vocabulary)(&[prompt]).unwrap();
    assert!(
        (answer[0][vocabulary.value(2, true) as usize].exp() - joint[3] / (joint[2] + joint[3])).abs()
            < 1e-12
    );
}
