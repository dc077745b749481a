//! Asking a model all questions.

use backstitch_numerics::Stream;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::facts::{Direction, FactSet, Group, Record};

/// How answers are scored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Rank by log-probability per token instead of by their sum. Off by default, as in the paper; turn it on if targets
    /// differ much in their number of tokens.
    pub per_token: bool,
    /// Seed of the random other that the correct answer is compared with.
    pub seed: u64,
}

/// `log p(candidate | prompt)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// Sum over the candidate's tokens, in nats; minus infinity if the model excludes it.
    pub log_probability: f64,
    /// Tokens of the candidate, at least 1.
    pub tokens: usize,
}

/// The model's answer to one question.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// Position of the fact, from 0.
    pub fact: usize,
    /// The fact's group.
    pub group: Group,
    /// The question's direction.
    pub direction: Direction,
    /// The question's template.
    pub template: usize,
    /// Did the greedy completion start with the target?
    pub exact: bool,
    /// How many of all candidates score at least as high as the correct one, itself not counted; 0 is top-1.
    pub above: usize,
    /// All candidates.
    pub candidates: usize,
    /// The same among the candidates of the fact's group.
    pub above_in_group: usize,
    /// Candidates of the fact's group.
    pub candidates_in_group: usize,
    /// log p(correct) − log p(random other of the same group), in nats (per token if so asked); `None` if the group has one
    /// fact, or if both are excluded.
    pub difference: Option<f64>,
}

/// All answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// In the order of the questions.
    pub answers: Vec<Answer>,
}

/// Does the completion start with the target? Case and leading white space do not count.
pub fn exact_match(completion: &str, target: &str) -> bool {
    let mut text = completion.trim_start().chars().flat_map(char::to_lowercase);
    let mut wanted = target.trim().chars().flat_map(char::to_lowercase).peekable();
    wanted.peek().is_some() && wanted.all(|character| text.next() == Some(character))
}

/// Asks every question of `questions` (records of `set`, usually [`FactSet::test`]).
///
/// `complete` gets all prompts at once and gives a greedy completion of each. `score` gets one prompt with all candidate
/// completions (each starts with a space, in the order of the facts) and gives a [`Score`] for each. Let `score` return an error
/// of the model as [`Error::model`].
///
/// # Errors
/// [`Error::NoSuchFact`], [`Error::Answer`], and what the two closures return.
pub fn evaluate(
    set: &FactSet,
    questions: &[Record],
    parameters: &Parameters,
    mut complete: impl FnMut(&[String]) -> Result<Vec<String>, Error>,
    mut score: impl FnMut(&str, &[String]) -> Result<Vec<Score>, Error>,
) -> Result<Evaluation, Error> {
    for (record, question) in questions.iter().enumerate() {
        if question.fact >= set.facts.len() {
            return Err(Error::NoSuchFact { record, fact: question.fact, facts: set.facts.len() });
        }
    }
    let prompts: Vec<String> = questions.iter().map(|question| question.prompt.clone()).collect();
    let completions = complete(&prompts)?;
    if completions.len() != prompts.len() {
        let problem = format!("is missing: {} completions for {} prompts", completions.len(), prompts.len());
        return Err(Error::Answer { prompt: completions.len().min(prompts.len()), problem });
    }
    let candidates = Direction::BOTH.map(|direction| {
        set.facts.iter().map(|fact| format!(" {}", fact.target(direction))).collect::<Vec<_>>()
    });
    let mut stream = Stream::new(parameters.seed, "reversal-curse random other");
    let mut answers = Vec::with_capacity(questions.len());
    for (position, (question, completion)) in questions.iter().zip(&completions).enumerate() {
        let candidates = &candidates[usize::from(question.direction == Direction::DescriptionToName)];
        let values = checked(position, &score(&question.prompt, candidates)?, candidates.len(), parameters)?;
        let correct = values[question.fact];
        let same = |fact: &usize| set.facts[*fact].group == set.facts[question.fact].group;
        let above = |fact: &usize| *fact != question.fact && values[*fact] >= correct;
        let members: Vec<usize> = (0..set.facts.len()).filter(same).collect();
        let other = random_other(&members, question.fact, &mut stream);
        answers.push(Answer {
            fact: question.fact,
            group: set.facts[question.fact].group,
            direction: question.direction,
            template: question.template,
            exact: exact_match(completion, set.target(question)),
            above: (0..set.facts.len()).filter(above).count(),
            candidates: set.facts.len(),
            above_in_group: members.iter().copied().filter(above).count(),
            candidates_in_group: members.len(),
            difference: other.map(|other| correct - values[other]).filter(|difference| !difference.is_nan()),
        });
    }
    Ok(Evaluation { answers })
}

/// Any member but one, all equally likely.
fn random_other(members: &[usize], one: usize, stream: &mut Stream) -> Option<usize> {
    let others = members.len().checked_sub(1).filter(|&others| others > 0)?;
    // The last member stands in for `one`, wherever that stands.
    let drawn = members[stream.below(others)];
    Some(if drawn == one { members[others] } else { drawn })
}

fn checked(
    prompt: usize,
    scores: &[Score],
    wanted: usize,
    parameters: &Parameters,
) -> Result<Vec<f64>, Error> {
    if scores.len() != wanted {
        let problem = format!("has {} scores for {wanted} candidates", scores.len());
        return Err(Error::Answer { prompt, problem });
    }
    scores
        .iter()
        .enumerate()
        .map(|(candidate, score)| {
            let Score { log_probability, tokens } = *score;
            // A little above zero is rounding of a sum of logarithms in single precision.
            if log_probability.is_nan() || log_probability > 1e-3 {
                let problem =
                    format!("gives candidate {candidate} the log-probability {log_probability}, but it must be at most 0");
                return Err(Error::Answer { prompt, problem });
            }
            if tokens == 0 {
                let problem = format!("says that candidate {candidate} has no tokens");
                return Err(Error::Answer { prompt, problem });
            }
            Ok(if parameters.per_token { log_probability / tokens as f64 } else { log_probability })
        })
        .collect()
}
