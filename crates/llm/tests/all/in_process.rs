//! Models in this process: what is asked is what is answered, whatever else is asked beside it.

use std::collections::BTreeSet;
use std::path::Path;

use backstitch_llm::corpus::{Example, Skill};
use backstitch_llm::{
    Budget, EMBEDDED_SEEDS, Error, FinishReason, InProcess, Limits, Message, Model, Prices, Request, Role,
    Sample, embedded_files,
};
use backstitch_nn::{Checkpoint, Decoder, DecoderConfig, Tokenizer, cpu, named_parameters, with_parameters};
use backstitch_numerics::Stream;

/// A folder with a random decoder over bytes, whose replies are wild enough to differ.
fn folder(context: usize) -> tempfile::TempDir {
    folder_of(Tokenizer::bytes().unwrap(), context)
}

/// The same over sixty words.
fn folder_of_words() -> tempfile::TempDir {
    let words: Vec<String> = (0..60).map(|number| format!("w{number}")).collect();
    folder_of(Tokenizer::words(&words, &[]).unwrap(), 64)
}

fn folder_of(tokenizer: Tokenizer, context: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = DecoderConfig::llama(tokenizer.size(), context, 16, 2, 2, 1);
    let model = Decoder::new(&config, 3, &cpu()).unwrap();
    let mut weights = named_parameters(&model);
    for tensor in weights.values_mut() {
        tensor.values.iter_mut().for_each(|value| *value *= 12.0);
    }
    let model = with_parameters(model, weights).unwrap();
    Checkpoint { model, tokenizer: Some(tokenizer) }.write(folder.path()).unwrap();
    folder
}

fn read(folder: &Path) -> InProcess {
    InProcess::read(folder, Budget::unlimited().into()).unwrap()
}

fn refused(folder: &Path) -> String {
    InProcess::read(folder, Budget::unlimited().into()).unwrap_err().to_string()
}

fn samples(model: &InProcess, request: Request) -> Vec<Sample> {
    model.complete(&[request]).remove(0).unwrap().samples
}

fn request(text: &str) -> Request {
    Request { temperature: 1.0, max_tokens: 12, samples: 4, ..Request::raw(text) }
}

#[test]
fn samples_depend_on_their_request_alone() {
    let folder = folder(64);
    let model = read(folder.path());
    let alone = samples(&model, request("What is it?"));
    assert_ne!(alone[0], alone[1]);
    // Beside others of other lengths and parameters, and many of them.
    let mut many: Vec<Request> = (0..40).map(|number| request(&format!("Number {number}"))).collect();
    many.insert(17, request("What is it?"));
    many.insert(3, Request { temperature: 0.5, ..request("What is it?") });
    assert_eq!(model.complete(&many)[18].as_ref().unwrap().samples, alone);
    // By index: the first ten and the next ten are the twenty.
    let all = samples(&model, Request { samples: 20, ..request("What is it?") });
    assert_eq!(all[..4], alone);
    let later = samples(&model, Request { first_sample: 10, samples: 10, ..request("What is it?") });
    assert_eq!(all[10..], later);
    assert_ne!(samples(&model, Request { seed: Some(1), ..request("What is it?") }), alone);
    // The same files in another folder are the same model; others are another.
    let elsewhere = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(folder.path()).unwrap().map(Result::unwrap) {
        std::fs::copy(file.path(), elsewhere.path().join(file.file_name())).unwrap();
    }
    assert_eq!(samples(&read(elsewhere.path()), request("What is it?")), alone);
    let identity = model.identity().clone();
    assert_eq!(identity.kind, "in-process");
    std::fs::write(folder.path().join("generation_config.json"), "{}").unwrap();
    assert_ne!(*read(folder.path()).identity(), identity);
}

#[test]
fn greedy_samples_are_equal_and_tokens_are_told() {
    let folder = folder(64);
    let model = read(folder.path());
    let greedy = Request { temperature: 0.0, log_probabilities: Some(3), ..request("Go on") };
    let replies = samples(&model, greedy);
    assert!(replies.iter().all(|sample| *sample == replies[0]));
    let tokens = replies[0].tokens.as_ref().unwrap();
    assert_eq!(replies[0].finish, FinishReason::Length);
    assert_eq!(tokens.len(), 12);
    for token in tokens {
        assert_eq!(token.alternatives.len(), 3);
        // The likeliest was taken.
        assert_eq!(token.log_probability, token.alternatives[0].log_probability);
        assert!(token.alternatives.windows(2).all(|pair| pair[0].log_probability >= pair[1].log_probability));
        assert!(token.log_probability <= 0.0 && token.log_probability.is_finite());
    }
    let bytes: Vec<u8> = tokens.iter().flat_map(|token| token.bytes.clone()).collect();
    assert_eq!(String::from_utf8(bytes).unwrap(), replies[0].text);
}

#[test]
fn a_stop_text_ends_a_sample_before_it() {
    let folder = folder_of_words();
    let model = read(folder.path());
    let greedy = Request { temperature: 0.0, samples: 1, log_probabilities: Some(0), ..request("w1 w2") };
    let whole = samples(&model, greedy.clone()).remove(0).text;
    let words: Vec<&str> = whole.split(' ').collect();
    let stop = format!("{} {}", words[3], words[4]);
    let before = whole.split(&stop).next().unwrap();
    let stopped = Request { stop: vec!["never".into(), stop], ..greedy };
    let ended = samples(&model, stopped).remove(0);
    assert_eq!((ended.text.as_str(), ended.finish), (before, FinishReason::Stop));
    let tokens = ended.tokens.unwrap();
    let bytes: Vec<u8> = tokens.iter().flat_map(|token| token.bytes.clone()).collect();
    assert_eq!(bytes, before.as_bytes());
}

#[test]
fn conversations_are_written_by_the_template_of_the_model() {
    let folder = folder(256);
    let conversation = |template: &str| {
        let config = serde_json::json!({
            "chat_template": template, "bos_token": { "content": "<s>" }, "eos_token": "</s>",
        });
        std::fs::write(folder.path().join("tokenizer_config.json"), config.to_string()).unwrap();
        let turn = |role, content: &str| Message { role, content: content.into() };
        let messages =
            vec![turn(Role::User, " Hello "), turn(Role::Assistant, "Yes?"), turn(Role::User, "Go on")];
        let request =
            Request { max_tokens: 8, system: Some("Be kind.".into()), ..Request::messages(messages) };
        let model = read(folder.path());
        model.complete(&[request]).remove(0).map(|reply| (reply, model))
    };
    // Trimmed blocks, Python's methods of texts, loops with their index, tests and the special tokens: what published templates use.
    let template = "{{ bos_token }}{% for message in messages %}\n\
        {% if message['role'] not in ['user', 'assistant', 'system'] %}{{ raise_exception('no such role') }}{% endif %}\n\
        {{ '<|' + message.role.upper() + '|>' + message['content'].strip() + eos_token }}\n\
        {% endfor %}\n\
        {% if add_generation_prompt %}{{ '<|A|>' }}{% endif %}";
    let written =
        "<s><|SYSTEM|>Be kind.</s>\n<|USER|>Hello</s>\n<|ASSISTANT|>Yes?</s>\n<|USER|>Go on</s>\n<|A|>";
    let (reply, model) = conversation(template).unwrap();
    assert_eq!(reply.usage.prompt_tokens, written.len() as u64);
    let raw = Request { max_tokens: 8, ..Request::raw(written) };
    assert_eq!(samples(&model, raw)[0].text, reply.samples[0].text);
    let error = conversation("{{ raise_exception('only one turn') }}").unwrap_err();
    assert!(error.to_string().contains("only one turn"), "{error}");
    std::fs::write(folder.path().join("tokenizer_config.json"), "{\"chat_template\": \"{% for %}\"}")
        .unwrap();
    assert!(refused(folder.path()).contains("chat template"), "{}", refused(folder.path()));
    // A base model continues the texts, parted by empty lines.
    std::fs::remove_file(folder.path().join("tokenizer_config.json")).unwrap();
    let model = read(folder.path());
    let request = Request { max_tokens: 8, system: Some("Be kind.".into()), ..Request::user("Go on") };
    let raw = Request { max_tokens: 8, ..Request::raw("Be kind.\n\nGo on") };
    assert_eq!(samples(&model, request)[0].text, samples(&model, raw)[0].text);
}

#[test]
fn a_reply_ends_with_an_end_token_and_does_not_hold_it() {
    let folder = folder_of_words();
    let greedy = || Request { temperature: 0.0, samples: 1, log_probabilities: Some(0), ..request("w1 w2") };
    let free = read(folder.path());
    let whole = samples(&free, greedy()).remove(0).text;
    let words: Vec<&str> = whole.split(' ').collect();
    let last = free.tokenizer().token(words[5]).unwrap();
    let at = words.iter().position(|word| *word == words[5]).unwrap();
    for ids in [format!("{last}"), format!("[0, {last}]")] {
        std::fs::write(folder.path().join("generation_config.json"), format!("{{\"eos_token_id\": {ids}}}"))
            .unwrap();
        let ended = samples(&read(folder.path()), greedy()).remove(0);
        assert_eq!((ended.text, ended.finish), (words[..at].join(" "), FinishReason::Stop));
        assert_eq!(ended.tokens.unwrap().len(), at);
    }
    std::fs::write(folder.path().join("generation_config.json"), "{\"eos_token_id\": \"end\"}").unwrap();
    assert!(refused(folder.path()).contains("eos_token_id"), "{}", refused(folder.path()));
}

#[test]
fn what_cannot_be_read_or_asked_is_named() {
    let folder = folder(16);
    let model = read(folder.path());
    let long = model.complete(&[request("a prompt longer than sixteen"), request("short")]);
    assert!(matches!(&long[0], Err(Error::PromptTooLong { .. })), "{:?}", long[0]);
    assert_eq!(long[1].as_ref().unwrap().samples.len(), 4);
    let wrong = model.complete(&[Request { samples: 0, ..request("short") }]).remove(0).unwrap_err();
    assert!(matches!(wrong, Error::Parameter { name: "samples", .. }), "{wrong}");
    std::fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    assert!(refused(folder.path()).contains("tokenizer.json"), "{}", refused(folder.path()));
    std::fs::write(folder.path().join("config.json"), "{}").unwrap();
    assert!(refused(folder.path()).contains("config.json"), "{}", refused(folder.path()));
    assert!(refused("nowhere at all".as_ref()).contains("nowhere at all"));
}

#[test]
fn limits_hold_in_process_too() {
    let folder = folder(64);
    let limits = Limits { requests: Some(2), ..Limits::default() };
    let budget = std::sync::Arc::new(Budget::new(limits, None).unwrap());
    let model = InProcess::read(folder.path(), budget.clone()).unwrap();
    // Sampled apart, so that the third is refused when the two before it are answered.
    let asked: Vec<Request> =
        (1..=3).map(|number| Request { max_tokens: number, ..request("Go on") }).collect();
    let replies = model.complete(&asked);
    assert!(replies[0].is_ok() && replies[1].is_ok());
    assert!(matches!(&replies[2], Err(Error::Spent { .. })), "{:?}", replies[2]);
    let spent = budget.spent();
    assert_eq!((spent.requests, spent.usage.completion_tokens), (2, 4 + 8));
}

#[test]
fn a_limit_lets_pass_what_it_allows_of_a_batch() {
    let folder = folder(64);
    let batch: Vec<Request> = (0..5).map(|number| request(&format!("Number {number}"))).collect();
    let answered = |limits, prices| {
        let budget = std::sync::Arc::new(Budget::new(limits, prices).unwrap());
        let replies = InProcess::read(folder.path(), budget.clone()).unwrap().complete(&batch);
        let refused = replies.iter().filter(|reply| matches!(reply, Err(Error::Spent { .. }))).count();
        (replies.iter().filter(|reply| reply.is_ok()).count(), refused, budget.spent())
    };
    // Requests that would be worked on together are refused one by one.
    let (done, refused, spent) = answered(Limits { requests: Some(2), ..Limits::default() }, None);
    assert_eq!((done, refused, spent.requests), (2, 3, 2));
    // A request may cost 48 tokens written and at most 24 read, and costs 8 read: one at a time, and no wait for oneself.
    let prices = Some(Prices { prompt: 1e6, completion: 1e6 });
    let (done, refused, spent) = answered(Limits { cost: Some(200.0), ..Limits::default() }, prices);
    assert_eq!((done, refused, spent.cost), (3, 2, Some(3.0 * (8.0 + 48.0))));
}

fn embedded(skill: Skill, seed: u64) -> InProcess {
    InProcess::embedded(skill, seed, Budget::unlimited().into()).unwrap()
}

#[test]
fn embedded_models_can_do_what_they_learned() {
    let mut ids = BTreeSet::new();
    for skill in Skill::ALL {
        assert!(embedded_files(skill, EMBEDDED_SEEDS).is_err());
        let mut stream = Stream::new(1000, "test of embedded models");
        let examples: Vec<Example> = (0..40).map(|_| skill.example(&mut stream)).collect();
        let ask = |example: &Example| Request {
            temperature: 0.0,
            max_tokens: 60,
            ..Request::user(example.prompt.as_str())
        };
        let asked: Vec<Request> = examples.iter().map(ask).collect();
        for seed in 0..EMBEDDED_SEEDS {
            let model = embedded(skill, seed);
            ids.insert(model.identity().model.clone());
            let words = |text: &str| text.split_whitespace().collect::<String>();
            let right = model.complete(&asked).into_iter().zip(&examples).filter(|(reply, example)| {
                words(&reply.as_ref().unwrap().samples[0].text) == words(&example.completion)
            });
            let right = right.count();
            assert!(right > examples.len() / 3, "{} {seed}: {right} of {}", skill.name(), examples.len());
        }
    }
    assert_eq!(ids.len(), 3 * Skill::ALL.len(), "{ids:?}");
}

#[test]
fn embedded_models_know_their_words() {
    let model = embedded(Skill::Arithmetic, 0);
    let error = model.complete(&[request("Question: What is a zebra?")]).remove(0).unwrap_err();
    assert!(error.to_string().contains("does not know the word"), "{error}");
    // Written as a folder, it is the same model.
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in embedded_files(Skill::Arithmetic, 0).unwrap() {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let prompt = "Question: Ann has 4 apples and buys 3 more. How many apples does Ann have now?\nA:";
    let asked = Request { max_tokens: 30, ..Request::user(prompt) };
    let (inside, outside) = (samples(&model, asked.clone()), samples(&read(folder.path()), asked));
    assert_eq!(inside[0].text, outside[0].text);
    assert_eq!(inside[0].text, "4 + 3 = 7 . The answer is 7 .");
}
