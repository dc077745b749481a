//! The same seed gives the same bytes, at any number of threads and over any kill.

use backstitch_nn::{
    Decoder, DecoderConfig, Optimizer, OptimizerParameters, Shuffled, StepReport, TokenBatch, Trainer,
    TrainingParameters, cpu, named_parameters,
};

const CONFIG: fn() -> DecoderConfig = || DecoderConfig::gpt2(40, 24, 32, 2, 4);

fn parameters() -> TrainingParameters {
    TrainingParameters { steps: 8, learning_rate: 3e-3, ..TrainingParameters::default() }
}

fn trainer(seed: u64) -> Trainer<Decoder> {
    Trainer::new(Decoder::new(&CONFIG(), seed, &cpu().autodiff()).unwrap(), parameters()).unwrap()
}

/// Runs up to a step, and returns the reports of the steps.
fn run(trainer: &mut Trainer<Decoder>, until: u64) -> Vec<StepReport> {
    let examples: Vec<Vec<u32>> =
        (0..50_u32).map(|i| (0..20).map(|j| (i * 7 + j * j) % 40).collect()).collect();
    let mut order = Shuffled::new(examples.len(), 16, 5, "training").unwrap();
    let mut reports = Vec::new();
    while trainer.step() < until {
        let picked: Vec<&Vec<u32>> =
            order.at(trainer.step() + 1).into_iter().map(|at| &examples[at]).collect();
        let loss = trainer.model().loss(&TokenBatch::whole(&picked, &CONFIG()).unwrap());
        reports.push(trainer.descend(&loss).unwrap());
    }
    reports
}

#[test]
fn the_number_of_threads_does_not_change_a_byte() {
    let with_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut trainer = trainer(1);
            let reports = run(&mut trainer, 8);
            (reports, trainer.save().unwrap())
        })
    };
    let one = with_threads(1);
    assert_eq!(one, with_threads(2));
    assert_eq!(one, with_threads(3));
}

#[test]
fn another_seed_differs_and_the_loss_falls() {
    let (mut a, mut b) = (trainer(1), trainer(2));
    let reports = run(&mut a, 8);
    run(&mut b, 8);
    assert_ne!(named_parameters(a.model()), named_parameters(b.model()));
    assert!(reports[7].loss < reports[0].loss - 0.1, "{reports:?}");
}

#[test]
fn a_restored_run_ends_in_the_same_bytes() {
    let mut whole = trainer(1);
    let reports = run(&mut whole, 8);
    for cut in 0..8 {
        let mut first = trainer(1);
        run(&mut first, cut);
        let saved = first.save().unwrap();
        let mut second = trainer(99).restore(&saved).unwrap();
        assert_eq!(second.step(), cut);
        assert_eq!(run(&mut second, 8), reports[cut as usize..]);
        assert_eq!(second.save().unwrap(), whole.save().unwrap());
    }
}

#[test]
fn a_foreign_or_damaged_state_is_refused() {
    let saved = trainer(1).save().unwrap();
    let model = Decoder::new(&CONFIG(), 0, &cpu().autodiff()).unwrap();
    let others = TrainingParameters { learning_rate: 1.0, ..parameters() };
    let message = Trainer::new(model, others).unwrap().restore(&saved).unwrap_err().to_string();
    assert!(message.contains("other training parameters"), "{message}");

    let model = Decoder::new(&DecoderConfig::gpt2(41, 24, 32, 2, 4), 0, &cpu().autodiff()).unwrap();
    let message = Trainer::new(model, parameters()).unwrap().restore(&saved).unwrap_err().to_string();
    assert!(message.contains("[40, 32]") && message.contains("[41, 32]"), "{message}");

    let message = trainer(1).restore(&saved[..saved.len() / 2]).unwrap_err().to_string();
    assert!(message.contains("does not fit"), "{message}");
}

#[test]
fn divergence_is_an_error_with_its_step() {
    let model = Decoder::new(&CONFIG(), 1, &cpu().autodiff()).unwrap();
    let wild = TrainingParameters { learning_rate: 1e30, clip: f64::INFINITY, ..parameters() };
    let mut trainer = Trainer::new(model, wild).unwrap();
    let batch = TokenBatch::whole(&[[1, 2, 3]], &CONFIG()).unwrap();
    let ended = trainer.run(|_| Ok(batch.clone()), Decoder::loss, |_, _| Ok(()));
    let message = ended.unwrap_err().to_string();
    assert!(message.contains("diverged at step"), "{message}");
}

#[test]
fn parameters_out_of_range_are_named() {
    let model = || Decoder::new(&CONFIG(), 1, &cpu().autodiff()).unwrap();
    let wrong = TrainingParameters { learning_rate: 0.0, ..parameters() };
    assert!(Trainer::new(model(), wrong).unwrap_err().to_string().contains("learning_rate is 0"));
    let wrong = OptimizerParameters::Sgd { momentum: 1.0, weight_decay: 0.0 };
    assert!(Optimizer::new(wrong).unwrap_err().to_string().contains("momentum is 1"));
}

#[test]
fn every_epoch_sees_every_example_once() {
    let mut order = Shuffled::new(10, 4, 3, "test").unwrap();
    let seen: Vec<usize> = (1..=5).flat_map(|step| order.at(step)).collect();
    for epoch in seen.chunks(10) {
        let mut sorted = epoch.to_vec();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..10).collect::<Vec<_>>());
    }
    assert_ne!(seen[..10], seen[10..]);
    assert_eq!(order.at(2), seen[4..8]);
}

#[test]
fn batches_that_do_not_fit_are_errors() {
    let config = DecoderConfig::gpt2(5, 3, 4, 1, 1);
    let error = |sequences: &[Vec<u32>]| TokenBatch::whole(sequences, &config).unwrap_err().to_string();
    assert!(error(&[vec![1]]).contains("the target of sequence 1 is empty"));
    assert!(error(&[vec![1, 2], vec![1, 7]]).contains("token 7 is not in the vocabulary of 5"));
    assert!(error(&[vec![1, 2, 3, 4, 0]]).contains("4 tokens is longer than the context of 3"));
    // The last token is only predicted, so one more than the context fits.
    assert_eq!(TokenBatch::whole(&[vec![1, 2, 3, 4]], &config).unwrap().shape(), [1, 3]);
}

fn denoising_loss(sequences: &[Vec<u32>], hidden: &[Vec<bool>]) -> f64 {
    let config = DecoderConfig::gpt2(9, 6, 8, 2, 2);
    let model = Decoder::new(&config, 3, &cpu()).unwrap();
    let batch = TokenBatch::denoising(sequences, hidden, 0, &config).unwrap();
    f64::from(model.loss(&batch).into_scalar::<f32>())
}

#[test]
fn denoising_sees_both_ways_but_nothing_hidden() {
    let hidden = vec![false, true, false, false, true, false];
    let loss = |tokens: [u32; 6]| denoising_loss(&[tokens.to_vec()], std::slice::from_ref(&hidden));
    let whole = loss([1, 2, 3, 4, 5, 6]);
    // Tokens 3 and 4 come after the first hidden one, 1 before it.
    for other in [[7, 2, 3, 4, 5, 6], [1, 2, 7, 4, 5, 6], [1, 2, 3, 7, 5, 6]] {
        assert_ne!(loss(other), whole, "{other:?}");
    }
    // The last token is no input.
    assert_eq!(loss([1, 2, 3, 4, 5, 7]), whole);

    // A hidden token matters as a target only: what is predicted from everything else has the same probability for it.
    let total: f64 = (0..9)
        .map(|token| (-denoising_loss(&[vec![1, token, 3, 4]], &[vec![false, true, false, false]])).exp())
        .sum();
    assert!((total - 1.0).abs() < 1e-5, "{total}");

    // Padding is not seen: a batch is the mean of its sequences over their targets.
    let (long, short) = (vec![1, 2, 3, 4, 5, 6], vec![3, 8, 2]);
    let alone = denoising_loss(std::slice::from_ref(&short), &[vec![false, false, true]]);
    let both = denoising_loss(&[long, short], &[hidden.clone(), vec![false, false, true]]);
    assert!((both - (2.0 * whole + alone) / 3.0).abs() < 1e-5, "{both}");
}

#[test]
fn denoising_of_nothing_or_of_a_first_token_is_an_error() {
    let config = DecoderConfig::gpt2(5, 3, 4, 1, 1);
    let error = |hidden: &[Vec<bool>]| {
        TokenBatch::denoising(&[[1, 2, 3]], hidden, 0, &config).unwrap_err().to_string()
    };
    assert!(error(&[vec![false; 3]]).contains("the list of hidden tokens is empty"));
    assert!(error(&[vec![true, false, false]]).contains("hidden first token of sequence 1"));
    assert!(error(&[vec![true; 2]]).contains("hidden tokens"));
    assert!(TokenBatch::denoising(&[[1, 2, 3]], &[vec![false, true, false]], 9, &config).is_err());
}
