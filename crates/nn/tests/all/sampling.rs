//! Decoding with a cache against decoding without one, and the rules of sampling.

use backstitch_nn::{
    Decoder, Generation, NnError, SamplingParameters, Scorer, Stop, generate, generate_many,
};
use backstitch_numerics::Stream;

use crate::{model, shapes};

/// Greedy decoding that reads the whole sequence again for every token.
fn plain(model: &Decoder, prompt: &[u32], tokens: usize) -> Vec<u32> {
    let scorer = Scorer::new(model);
    let mut sequence = prompt.to_vec();
    for _ in 0..tokens {
        let next = scorer.next(std::slice::from_ref(&sequence)).unwrap().remove(0);
        let best = (0..next.len()).reduce(|best, token| if next[token] > next[best] { token } else { best });
        sequence.push(best.unwrap() as u32);
    }
    sequence.split_off(prompt.len())
}

fn prompts() -> Vec<Vec<u32>> {
    vec![vec![1, 2, 3, 4], vec![5], vec![6, 7], vec![8, 9, 10, 11, 12], vec![2, 2, 2]]
}

#[test]
fn prompts_of_different_lengths_decode_as_each_alone_without_a_cache() {
    for config in shapes() {
        let model = model(&config, 2);
        let greedy = SamplingParameters { max_tokens: 5, ..SamplingParameters::greedy() };
        let together = generate(&model, &prompts(), &greedy).unwrap();
        for (prompt, sample) in prompts().iter().zip(&together) {
            assert_eq!(sample.tokens, plain(&model, prompt, 5));
            let scores = Scorer::new(&model).score(prompt, std::slice::from_ref(&sample.tokens)).unwrap();
            for (a, b) in scores[0].tokens.iter().zip(&sample.log_probabilities) {
                assert!((a - b).abs() < 1e-4);
            }
        }
    }
}

#[test]
fn scores_with_a_shared_prefix_are_those_of_whole_sequences() {
    for config in shapes() {
        let scorer = Scorer::new(&model(&config, 3));
        let continuations = vec![vec![1], vec![2, 3], vec![4, 5, 6], vec![7, 8, 9, 10], vec![1]];
        let prefix = [11, 12, 0];
        let scores = scorer.score(&prefix, &continuations).unwrap();
        for (score, continuation) in scores.iter().zip(&continuations) {
            assert_eq!(score.tokens.len(), continuation.len());
            for at in 0..continuation.len() {
                let sequence = [&prefix[..], &continuation[..at]].concat();
                let wanted = scorer.next(&[sequence]).unwrap()[0][continuation[at] as usize];
                assert!((score.tokens[at] - wanted).abs() < 1e-4, "{} {wanted}", score.tokens[at]);
            }
            assert!((score.total() - score.per_token() * continuation.len() as f64).abs() < 1e-9);
        }
    }
}

#[test]
fn a_stop_sequence_ends_only_its_own_row() {
    let config = &shapes()[0];
    let model = model(config, 2);
    let free = SamplingParameters { max_tokens: 5, ..SamplingParameters::greedy() };
    let whole = generate(&model, &prompts(), &free).unwrap();
    let stopping = SamplingParameters { stop: vec![whole[1].tokens[..2].to_vec()], ..free };
    let stopped = generate(&model, &prompts(), &stopping).unwrap();
    assert_eq!((&stopped[1].tokens[..], stopped[1].stop), (&whole[1].tokens[..2], Stop::Sequence));
    for (a, b) in whole.iter().zip(&stopped) {
        assert!(a.tokens.starts_with(&b.tokens));
        assert_eq!(b.stop == Stop::Length, b.tokens.len() == 5);
    }
}

#[test]
fn the_context_ends_a_sample() {
    let config = &shapes()[1];
    let greedy = SamplingParameters { max_tokens: 50, ..SamplingParameters::greedy() };
    let samples = generate(&model(config, 2), &[vec![1; 8], vec![2]], &greedy).unwrap();
    for (sample, prompt) in samples.iter().zip([8, 1]) {
        assert_eq!(sample.stop, Stop::Context);
        // The last token is drawn from a full context and never read.
        assert_eq!(sample.tokens.len() + prompt, config.context + 1);
    }
}

#[test]
fn samples_follow_the_distribution_of_the_model() {
    let model = model(&shapes()[0], 4);
    let expected = Scorer::new(&model).next(&[vec![3]]).unwrap().remove(0);
    let drawn = 4000;
    let draw = |top_k, top_p| {
        let parameters = SamplingParameters {
            max_tokens: 1,
            temperature: 1.0,
            top_k,
            top_p,
            seed: 11,
            ..SamplingParameters::greedy()
        };
        let samples = generate(&model, &vec![vec![3]; drawn], &parameters).unwrap();
        let mut counts = vec![0_usize; expected.len()];
        samples.iter().for_each(|sample| counts[sample.tokens[0] as usize] += 1);
        counts
    };
    // Bernstein's bound: for each of 13 tokens a deviation of 6 standard errors plus 12/n has a probability below 1e-7.
    for (token, &count) in draw(0, 1.0).iter().enumerate() {
        let p = expected[token].exp();
        let bound = 6.0 * (p * (1.0 - p) / drawn as f64).sqrt() + 12.0 / drawn as f64;
        assert!((count as f64 / drawn as f64 - p).abs() <= bound, "token {token}: {count} {p}");
    }
    let mut order: Vec<usize> = (0..expected.len()).collect();
    order.sort_by(|&a, &b| expected[b].total_cmp(&expected[a]));
    let only = |counts: &[usize], allowed: &[usize]| {
        (0..counts.len()).all(|t| counts[t] == 0 || allowed.contains(&t))
    };
    assert!(only(&draw(3, 1.0), &order[..3]));
    let within = expected[order[0]].exp() + 0.5 * expected[order[1]].exp();
    assert!(only(&draw(0, within), &order[..2]));
}

#[test]
fn a_seed_gives_one_answer_and_another_seed_another() {
    let model = model(&shapes()[0], 4);
    let sample = |seed| {
        let parameters =
            SamplingParameters { max_tokens: 6, temperature: 1.0, seed, ..SamplingParameters::greedy() };
        generate(&model, &prompts(), &parameters).unwrap()
    };
    assert_eq!(sample(1), sample(1));
    assert_ne!(sample(1), sample(2));
}

#[test]
fn mistakes_are_named() {
    let model = model(&shapes()[0], 4);
    let greedy = SamplingParameters::greedy();
    let error = |prompts: &[Vec<u32>], parameters: &SamplingParameters| {
        generate(&model, prompts, parameters).unwrap_err().to_string()
    };
    assert!(error(&[vec![1], vec![]], &greedy).contains("prompt 2 is empty"));
    assert!(error(&[vec![77]], &greedy).contains("token 77"));
    assert!(error(&[vec![1; 11]], &greedy).contains("11 tokens is longer than the context of 10"));
    let hot = SamplingParameters { temperature: -1.0, ..greedy.clone() };
    assert!(error(&[vec![1]], &hot).contains("temperature is -1"));
    let none = SamplingParameters { top_p: 0.0, ..greedy };
    assert!(error(&[vec![1]], &none).contains("top_p is 0"));
    assert!(matches!(Scorer::new(&model).score(&[], &[vec![1]]), Err(NnError::Empty { .. })));
    assert!(matches!(Scorer::new(&model).score(&[1], &[vec![]]), Err(NnError::Empty { .. })));
}

#[test]
fn samples_of_one_prompt_are_those_of_repeated_prompts() {
    let model = model(&shapes()[0], 4);
    let prompts = prompts();
    let parameters = SamplingParameters {
        max_tokens: 6,
        temperature: 1.0,
        seed: 3,
        alternatives: 2,
        ..SamplingParameters::greedy()
    };
    let repeated: Vec<Vec<u32>> = prompts.iter().flat_map(|prompt| vec![prompt.clone(); 30]).collect();
    let expected = generate(&model, &repeated, &parameters).unwrap();
    let stream = |place: usize| Stream::new(3, &format!("sample {place}"));
    let streams = (0..prompts.len()).map(|prompt| (0..30).map(|draw| stream(prompt * 30 + draw)).collect());
    let found = generate_many(&model, &prompts, streams.collect(), &parameters, &|_| false).unwrap();
    let found: Vec<Generation> = found.into_iter().flatten().collect();
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.tokens, expected.tokens);
        for (place, likeliest) in found.alternatives.iter().enumerate() {
            let [first, second] = likeliest[..] else { panic!("{likeliest:?}") };
            assert!(first.1 >= second.1 && first.1 >= found.log_probabilities[place]);
            let drawn = likeliest.iter().find(|(token, _)| *token == found.tokens[place]);
            assert!(drawn.is_none_or(|(_, value)| *value == found.log_probabilities[place]));
        }
    }
    let ended = generate_many(
        &model,
        &prompts[..1],
        vec![vec![stream(0)]],
        &SamplingParameters { max_tokens: 6, ..SamplingParameters::greedy() },
        &|tokens| tokens.len() == 2,
    );
    let sample = &ended.unwrap()[0][0];
    assert_eq!((sample.tokens.len(), sample.stop), (2, Stop::Sequence));
}
