//! Questions about a small world of made-up people, the skill that `probtree` asks of the embedded model.
//!
//! The world has 150 people with names of two words. Each has six relations: three to other people, three to places. It is
//! drawn once, from a fixed seed, and never changes: it is what a trained model knows.
//!
//! - 60 % of the facts are *known*: they stand in the closed-book training text, the others never do.
//! - 80 % of the facts have a passage, drawn apart from that; 15 % of the passages are corrupted: another value in the same words.
//!   Passages never enter the training text.
//! - Open-book and aggregating examples are about *strangers*, people whose names are not in the world, and as often about its people, with
//!   facts invented anew for every example: they can only be answered by copying, and none is true or in a passage of the world.
//! - Of the two-hop questions of the world, a fifth is held out: no training text holds them. Decompositions are learned on strangers only.
//!
//! The explanation of an answer is the same sentence in all modes, so that its mean log-probability never compares lengths.

mod world;

use backstitch_numerics::Stream;

use super::Example;

pub use world::{CORRUPTED, Fact, HELD_OUT, KNOWN, Relation, TwoHop, WITH_PASSAGE, World};
use world::{NAME_WORDS, PLACES, other};

/// What stands in the place of a value that no passage gives.
const UNKNOWN: &str = "Unknown";

/// A training example, of any of the four modes. The closed book has to be learned by heart and takes the larger part.
pub fn example(stream: &mut Stream) -> Example {
    match stream.uniform() {
        share if share < 0.35 => closed_book(stream),
        share if share < 0.85 => open_book(stream),
        share if share < 0.93 => aggregating(stream),
        _ => decomposition(stream),
    }
}

/// The prompt of a question without passages.
pub fn closed_book_prompt(question: &str) -> String {
    format!("Question: {question}\nAnswer:")
}

/// The prompt of a question with passages.
pub fn open_book_prompt(passages: &[impl AsRef<str>], question: &str) -> String {
    let lines = passages.iter().enumerate();
    let lines: String =
        lines.map(|(index, passage)| format!("{}. {}\n", index + 1, passage.as_ref())).collect();
    format!("Passages:\n{lines}Question: {question}\nAnswer:")
}

/// The prompt of a question with sub-questions and their answers.
pub fn aggregating_prompt(children: &[(impl AsRef<str>, impl AsRef<str>)], question: &str) -> String {
    let lines =
        children.iter().map(|(question, answer)| format!("{} {}\n", question.as_ref(), answer.as_ref()));
    format!("Context:\n{}Question: {question}\nAnswer:", lines.collect::<String>())
}

/// The prompt that asks for the sub-questions of a question.
pub fn decomposition_prompt(question: &str) -> String {
    format!("Question: {question}\nTree:")
}

/// A known fact, or two that answer a two-hop question of the part that may be trained on.
fn closed_book(stream: &mut Stream) -> Example {
    let world = World::get();
    if stream.uniform() < 0.75 {
        // As many known facts as unknown ones at least, so this ends soon.
        let fact = loop {
            let fact = &world.facts[stream.below(world.facts.len())];
            if fact.known {
                break fact;
            }
        };
        let explanation = fact.relation.sentence(&world.people[fact.person], &fact.value);
        let prompt = closed_book_prompt(&world.question(fact));
        return Example { prompt, completion: explained(&explanation, &fact.value) };
    }
    let question = &world.trained[stream.below(world.trained.len())];
    let [first, second] = world.hops(question);
    let explanation = format!(
        "{} {}",
        first.relation.sentence(&world.people[first.person], &first.value),
        second.relation.sentence(&first.value, &second.value)
    );
    let prompt = closed_book_prompt(&world.two_hop_question(question));
    Example { prompt, completion: explained(&explanation, &second.value) }
}

/// Passages with invented facts, among others like those that a search finds beside the wanted one.
fn open_book(stream: &mut Stream) -> Example {
    let two_hop = stream.uniform() < 0.5;
    let hops = if two_hop { Hops::two(stream, anybody) } else { Hops::one(stream) };
    let stated: Vec<bool> = hops.facts.iter().map(|_| stream.uniform() >= 0.15).collect();
    let mut passages: Vec<String> = Vec::new();
    for ((person, relation, value), stated) in hops.facts.iter().zip(&stated) {
        if *stated {
            passages.push(relation.sentence(person, value));
        }
    }
    // Copying is learned from few passages, and choosing among many from there.
    let all = if two_hop { 2 + stream.below(4) } else { 1 + stream.below(3) };
    while passages.len() < all {
        let (person, relation, _) = &hops.facts[stream.below(hops.facts.len())];
        let wanted: Vec<_> =
            hops.facts.iter().map(|(person, relation, _)| (person.clone(), *relation)).collect();
        let passage = distractor(stream, person, *relation, &wanted);
        if !passages.contains(&passage) {
            passages.push(passage);
        }
    }
    stream.shuffle(&mut passages);
    let prompt = open_book_prompt(&passages, &hops.question);
    Example { prompt, completion: hops.completion(&stated) }
}

/// Sub-questions with invented answers.
fn aggregating(stream: &mut Stream) -> Example {
    let hops = Hops::two(stream, anybody);
    let children: Vec<(String, String)> = hops
        .facts
        .iter()
        .map(|(person, relation, value)| (relation.question(person), value.clone()))
        .collect();
    let prompt = aggregating_prompt(&children, &hops.question);
    Example { prompt, completion: hops.completion(&[true, true]) }
}

/// The tree of a two-hop question about a stranger.
fn decomposition(stream: &mut Stream) -> Example {
    let hops = Hops::two(stream, stranger);
    let (person, first, _) = &hops.facts[0];
    let second = hops.facts[1].1;
    let question = &hops.question;
    let completion =
        format!("{{\"{question}\": [\"{}\", \"{}\"]}}", first.question(person), second.question("<1>"));
    Example { prompt: decomposition_prompt(question), completion }
}

/// One or two invented facts, and the question that they answer.
struct Hops {
    question: String,
    facts: Vec<(String, Relation, String)>,
}

impl Hops {
    fn one(stream: &mut Stream) -> Self {
        let person = anybody(stream);
        let relation = any(stream, &Relation::ALL);
        let value = value(stream, relation, &person);
        Self { question: relation.question(&person), facts: vec![(person, relation, value)] }
    }

    fn two(stream: &mut Stream, somebody: fn(&mut Stream) -> String) -> Self {
        let (person, first, second) = loop {
            let person = somebody(stream);
            let (first, second) = (any(stream, &Relation::TO_PEOPLE), any(stream, &Relation::ALL));
            if !World::get().holds_out(&person, first, second) {
                break (person, first, second);
            }
        };
        let between = value(stream, first, &person);
        let last = value(stream, second, &between);
        let question = second.question_behind(first, &person);
        Self { question, facts: vec![(person, first, between.clone()), (between, second, last)] }
    }

    /// The facts one after the other, up to the first that is not stated.
    fn completion(&self, stated: &[bool]) -> String {
        let mut sentences = Vec::new();
        for ((person, relation, value), stated) in self.facts.iter().zip(stated) {
            sentences.push(relation.sentence(person, if *stated { value } else { UNKNOWN }));
            if !stated {
                return explained(&sentences.join(" "), UNKNOWN);
            }
        }
        let answer = self.facts.last().map_or(UNKNOWN, |(.., value)| value);
        explained(&sentences.join(" "), answer)
    }
}

/// An explanation and its answer.
fn explained(explanation: &str, answer: &str) -> String {
    format!("{explanation} So the answer is: {answer}.")
}

/// A passage that a search could find for a relation of a person, and that does not state it: another relation of that person, a
/// fact whose value that person is, or one of a person with one of the same names.
fn distractor(
    stream: &mut Stream,
    person: &str,
    relation: Relation,
    wanted: &[(String, Relation)],
) -> String {
    loop {
        let (of, stated, stated_value) = match stream.below(4) {
            0 | 1 => {
                let other = any(stream, &Relation::ALL);
                (person.to_owned(), other, value(stream, other, person))
            }
            2 => (anybody(stream), any(stream, &Relation::TO_PEOPLE), person.to_owned()),
            _ => {
                let (first, second) = person.split_once(' ').unwrap_or((person, person));
                let word = any(stream, &NAME_WORDS);
                let like = match stream.below(3) {
                    0 => format!("{first} {word}"),
                    1 => format!("{word} {second}"),
                    _ => format!("{second} {first}"),
                };
                (like.clone(), relation, value(stream, relation, &like))
            }
        };
        let states_wanted = wanted.iter().any(|(person, relation)| *person == of && *relation == stated);
        if !states_wanted && !World::get().says(&of, stated, &stated_value) {
            return stated.sentence(&of, &stated_value);
        }
    }
}

/// An invented value of a relation.
fn value(stream: &mut Stream, relation: Relation, of: &str) -> String {
    loop {
        let value = if relation.to_person() { anybody(stream) } else { any(stream, &PLACES).to_owned() };
        if value != of && !World::get().says(of, relation, &value) {
            return value;
        }
    }
}

/// The name of somebody of the world, or of a stranger.
fn anybody(stream: &mut Stream) -> String {
    let world = World::get();
    if stream.uniform() < 0.5 { stranger(stream) } else { any_of(stream, &world.people).clone() }
}

/// The name of somebody who is not in the world.
fn stranger(stream: &mut Stream) -> String {
    loop {
        let first = stream.below(NAME_WORDS.len());
        let second = other(stream, NAME_WORDS.len(), first);
        let name = format!("{} {}", NAME_WORDS[first], NAME_WORDS[second]);
        if !World::get().is_person(&name) {
            return name;
        }
    }
}

fn any<T: Copy>(stream: &mut Stream, items: &[T]) -> T {
    *any_of(stream, items)
}

fn any_of<'a, T>(stream: &mut Stream, items: &'a [T]) -> &'a T {
    &items[stream.below(items.len())]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Words as the tokenizer of the embedded model splits them: runs of word characters, runs of others.
    fn words(text: &str) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let mut last = None;
        for character in text.chars() {
            let kind = (!character.is_whitespace()).then(|| character.is_alphanumeric() || character == '_');
            match (kind, words.last_mut()) {
                (Some(_), Some(word)) if kind == last => word.push(character),
                (Some(_), _) => words.push(character.into()),
                (None, _) => {}
            }
            last = kind;
        }
        words
    }

    fn examples(count: usize) -> impl Iterator<Item = Example> {
        let mut stream = Stream::new(3, "knowledge test");
        (0..count).map(move |_| example(&mut stream))
    }

    #[test]
    fn examples_fit_the_model() {
        let mut vocabulary = BTreeSet::new();
        for Example { prompt, completion } in examples(20_000) {
            let (prompt, completion) = (words(&prompt), words(&completion));
            assert!(prompt.len() <= 120 && completion.len() <= 40, "{prompt:?} {completion:?}");
            vocabulary.extend(prompt);
            vocabulary.extend(completion);
        }
        assert!(vocabulary.len() <= 130, "{} words: {vocabulary:?}", vocabulary.len());
    }

    #[test]
    fn what_a_study_asks_is_not_in_the_training_text() {
        let world = World::get();
        let held_out: BTreeSet<String> =
            world.held_out().iter().map(|question| world.two_hop_question(question)).collect();
        let stated = |known: bool| -> BTreeSet<String> {
            let facts = world.facts().iter().filter(|fact| fact.known == known);
            facts.map(|fact| fact.relation.sentence(world.name(fact.person), &fact.value)).collect()
        };
        let (known, unknown) = (stated(true), stated(false));
        assert!(held_out.len() > 400 && unknown.len() > 300);
        let corrupted: Vec<String> = world
            .facts()
            .iter()
            .filter_map(|fact| {
                let stated = fact.passage.as_deref().filter(|stated| *stated != fact.value)?;
                Some(fact.relation.sentence(world.name(fact.person), stated))
            })
            .collect();
        let corrupted: BTreeSet<&str> = corrupted.iter().map(String::as_str).collect();
        for Example { prompt, completion } in examples(50_000) {
            let question = prompt.lines().find_map(|line| line.strip_prefix("Question: ")).unwrap();
            assert!(!held_out.contains(question), "{question}");
            let invented = prompt.starts_with("Passages:") || prompt.starts_with("Context:");
            for sentence in format!("{prompt} {completion}").replace('\n', " ").split_inclusive('.') {
                assert!(!unknown.contains(sentence.trim()), "{sentence}");
                assert!(!corrupted.contains(sentence.trim()), "{sentence}");
                assert!(!invented || !known.contains(sentence.trim()), "{sentence}");
            }
        }
    }

    #[test]
    fn decompositions_are_learned_on_strangers() {
        let people = &World::get().places;
        for Example { prompt, .. } in examples(20_000).filter(|one| one.prompt.ends_with("Tree:")) {
            assert!(!words(&prompt).windows(2).any(|pair| people.contains_key(&pair.join(" "))), "{prompt}");
        }
    }

    #[test]
    fn the_shares_are_those_of_the_world() {
        let world = World::get();
        let share = |count: usize, of: usize| count as f64 / of as f64;
        let facts = world.facts();
        let known = facts.iter().filter(|fact| fact.known).count();
        let stated: Vec<_> = facts.iter().filter(|fact| fact.passage.is_some()).collect();
        let wrong = stated.iter().filter(|fact| fact.passage.as_ref() != Some(&fact.value)).count();
        assert_eq!((facts.len(), world.people.len(), world.places.len()), (900, 150, 150));
        assert!((share(known, facts.len()) - KNOWN).abs() < 0.05);
        assert!((share(stated.len(), facts.len()) - WITH_PASSAGE).abs() < 0.05);
        assert!((share(wrong, stated.len()) - CORRUPTED).abs() < 0.05);
    }

    #[test]
    fn a_passage_answers_or_the_answer_is_unknown() {
        for Example { prompt, completion } in examples(5_000) {
            let Some(passages) = prompt.strip_prefix("Passages:\n") else { continue };
            let answer = completion.rsplit_once(": ").unwrap().1.trim_end_matches('.');
            let stated: Vec<&str> = completion.split_inclusive('.').map(str::trim).collect();
            let stated = &stated[..stated.len() - 1];
            let (last, before) = stated.split_last().unwrap();
            assert!(before.iter().all(|sentence| passages.contains(sentence)), "{prompt} {completion}");
            assert_eq!(passages.contains(last), answer != UNKNOWN, "{prompt} {completion}");
        }
    }

    #[test]
    fn the_world_is_frozen() {
        // Shipped models know this world: a change of names, values or draws must be noticed.
        let world = World::get();
        let question = &world.held_out()[0];
        let [first, second] = world.hops(question);
        assert_eq!(
            (world.two_hop_question(question).as_str(), first.value.as_str(), second.value.as_str()),
            ("Who is the teacher of the friend of Hal Dal?", "Nir Jor", "Ivo Hal")
        );
    }
}
