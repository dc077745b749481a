//! Solutions, or any other texts, by what a critic says of them.

use backstitch_llm::answer::{Answer, Kind, extract};

use super::{Descent, Engines, Event, Improved, Record, feedback_event, update};
use crate::Error;
use crate::textgrad::loss::{AnswerCritic, ScoredEvaluation, TextLoss};
use crate::textgrad::operations::{LlmCall, sum};
use crate::textgrad::variable::Variable;

/// Improves texts by the feedback of a critic. All texts take each step together.
#[derive(Clone, Debug)]
pub struct SolutionJob {
    /// How to descend.
    pub descent: Descent,
    /// What the texts are.
    pub role: String,
    /// What the critic is told, beyond looking for faults.
    pub instruction: String,
    /// Let the critic end with a number; the text with the highest is the best. Otherwise the last is.
    pub scored: bool,
}

/// A text to be improved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Its name among others.
    pub id: Option<String>,
    /// What it answers, if anything.
    pub task: Option<String>,
    /// The text; where there is none, the task is answered first.
    pub text: Option<String>,
}

/// What criticises.
enum Critic {
    OfAnswers(AnswerCritic),
    OfTexts(TextLoss),
    WithScores(ScoredEvaluation),
}

/// The tag around scores.
const SCORE: &str = "SCORE";

impl SolutionJob {
    /// Improves texts. Either all of them have a task, or none has.
    ///
    /// # Errors
    /// [`Error::Parameter`]; [`Error::Call`]; [`Error::Malformed`] for an evaluation without its number.
    pub fn improve(&self, engines: Engines<'_, '_>, drafts: &[Draft]) -> Result<Vec<Improved>, Error> {
        self.descent.validate()?;
        if self.role.trim().is_empty() {
            let way_out = "say what it is, as in \"abstract of a paper\"";
            return Err(Error::parameter(
                "the role of the text",
                format!("{:?}", self.role),
                "a description in words",
                way_out,
            ));
        }
        let tasks = self.tasks(drafts)?;
        let critic = self.critic(!tasks.is_empty())?;
        let variables = self.first_texts(engines, drafts, &tasks)?;
        let mut all: Vec<Improved> = drafts
            .iter()
            .zip(&variables)
            .map(|(draft, variable)| {
                let text = variable.value();
                let start =
                    Record { id: draft.id.clone(), step: 0, event: Event::Start { text: text.clone() } };
                Improved { id: draft.id.clone(), versions: vec![(text, None)], best: 0, records: vec![start] }
            })
            .collect();
        let mut optimizer = self.descent.optimizer(&variables)?;
        for step in 1..=self.descent.steps {
            let losses = critic.evaluate(engines, &tasks, &variables)?;
            for (improved, loss) in all.iter_mut().zip(&losses) {
                note_evaluation(improved, step, loss, critic.score(loss)?);
            }
            let (feedback, events) = update(&mut optimizer, &sum(&losses), engines.critic)?;
            // One per text, in their order: each loss has one text that is to be improved.
            let mut feedback = feedback.into_iter();
            for ((improved, event), variable) in all.iter_mut().zip(events).zip(&variables) {
                if let Some(given) = feedback.next() {
                    improved.note(step, feedback_event(given));
                }
                improved.note(step, event);
                improved.versions.push((variable.value(), None));
            }
        }
        if self.scored {
            let losses = critic.evaluate(engines, &tasks, &variables)?;
            for (improved, loss) in all.iter_mut().zip(&losses) {
                note_evaluation(improved, self.descent.steps + 1, loss, critic.score(loss)?);
            }
        }
        all.iter_mut().for_each(Improved::choose);
        Ok(all)
    }

    /// Most calls that it takes for so many texts, repairs left out.
    pub fn most_calls(&self, drafts: &[Draft]) -> u64 {
        let (texts, steps) = (drafts.len() as u64, u64::from(self.descent.steps));
        let answers = drafts.iter().filter(|draft| draft.text.is_none()).count() as u64;
        answers + texts * (3 * steps + u64::from(self.scored))
    }

    fn tasks(&self, drafts: &[Draft]) -> Result<Vec<Variable>, Error> {
        let way_out = "give a text, a task, or both";
        let allowed = "a text with or without a task, all alike";
        if drafts.is_empty() || drafts.iter().any(|draft| draft.task.is_none() && draft.text.is_none()) {
            return Err(Error::parameter("what to improve", "nothing", allowed, way_out));
        }
        let with_task = drafts.iter().filter(|draft| draft.task.is_some()).count();
        if with_task > 0 && with_task < drafts.len() {
            let value = format!("{with_task} of {} texts with a task", drafts.len());
            return Err(Error::parameter("what to improve", value, allowed, way_out));
        }
        let tasks = drafts.iter().filter_map(|draft| draft.task.as_ref());
        tasks.map(|task| Variable::constant(task.clone(), "task")).collect()
    }

    fn critic(&self, with_task: bool) -> Result<Critic, Error> {
        let instruction =
            if self.instruction.trim().is_empty() { "Criticise the text." } else { &self.instruction };
        Ok(match (self.scored, with_task) {
            (true, true) => Critic::WithScores(ScoredEvaluation::new(instruction, &["Task", "Text"], SCORE)?),
            (true, false) => Critic::WithScores(ScoredEvaluation::new(instruction, &["Text"], SCORE)?),
            (false, true) => Critic::OfAnswers(AnswerCritic::new(&self.instruction)?),
            (false, false) => Critic::OfTexts(TextLoss::new(instruction)?),
        })
    }

    /// The texts that are given, and answers to the other tasks.
    fn first_texts(
        &self,
        engines: Engines<'_, '_>,
        drafts: &[Draft],
        tasks: &[Variable],
    ) -> Result<Vec<Variable>, Error> {
        let unanswered = drafts.iter().zip(tasks).filter(|(draft, _)| draft.text.is_none());
        let asked: Vec<Variable> = unanswered.map(|(_, task)| task.clone()).collect();
        let mut answers = LlmCall::new(&*self.role).call_all(engines.task, &asked)?.into_iter();
        drafts
            .iter()
            .map(|draft| {
                let text = draft.text.clone().or_else(|| Some(answers.next()?.value()));
                Variable::new(text.unwrap_or_default(), &*self.role)
            })
            .collect()
    }
}

impl Critic {
    fn evaluate(
        &self,
        engines: Engines<'_, '_>,
        tasks: &[Variable],
        texts: &[Variable],
    ) -> Result<Vec<Variable>, Error> {
        match self {
            Self::OfAnswers(critic) => {
                let pairs: Vec<(&Variable, &Variable)> = tasks.iter().zip(texts).collect();
                critic.evaluate_all(engines.critic, &pairs)
            }
            Self::OfTexts(loss) => loss.evaluate_all(engines.critic, texts),
            Self::WithScores(evaluation) => {
                let sets: Vec<Vec<&Variable>> = texts
                    .iter()
                    .enumerate()
                    .map(|(place, text)| tasks.get(place).into_iter().chain([text]).collect())
                    .collect();
                evaluation.evaluate_all(engines.critic, &sets)
            }
        }
    }

    fn score(&self, evaluation: &Variable) -> Result<Option<f64>, Error> {
        match self {
            Self::WithScores(scored) => scored.score(evaluation).map(Some),
            Self::OfAnswers(_) | Self::OfTexts(_) => Ok(None),
        }
    }
}

/// An evaluation at a step is of the text before it.
fn note_evaluation(improved: &mut Improved, step: u32, loss: &Variable, score: Option<f64>) {
    if let Some((_, of_text)) = improved.versions.last_mut() {
        *of_text = score;
    }
    improved.note(step, Event::Evaluation { text: loss.value(), score });
}

impl Improved {
    pub(super) fn note(&mut self, step: u32, event: Event) {
        self.records.push(Record { id: self.id.clone(), step, event });
    }

    /// The highest score, the earliest of equals; without scores the last text.
    fn choose(&mut self) {
        self.best = self.versions.len() - 1;
        let mut highest = f64::NEG_INFINITY;
        for (place, (_, score)) in self.versions.iter().enumerate() {
            if let Some(score) = score
                && *score > highest
            {
                (self.best, highest) = (place, *score);
            }
        }
    }
}

/// The vote of the versions of a text on the answer it ends with: the most frequent, the first of equals. Versions without an answer have
/// no vote.
pub fn majority(improved: &Improved, kind: Kind) -> Option<Answer> {
    let mut counts: Vec<(Answer, usize)> = Vec::new();
    for answer in improved.versions.iter().filter_map(|(text, _)| extract(text, kind)) {
        match counts.iter_mut().find(|(known, _)| *known == answer) {
            Some((_, count)) => *count += 1,
            None => counts.push((answer, 1)),
        }
    }
    let most = counts.iter().map(|(_, count)| *count).max()?;
    counts.into_iter().find(|(_, count)| *count == most).map(|(answer, _)| answer)
}
