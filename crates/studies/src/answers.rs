//! What the studies of reversal-curse and spt read from a model's answers: means over facts, not over wordings.

use std::collections::BTreeMap;

use backstitch_language::facts::Record;
use backstitch_language::facts::{Fact, FactSet, Group, people_templates};
use backstitch_language::reversal_curse::{Answer, Evaluation};

/// The mean over facts of the means over their questions; not a number without any.
pub(crate) fn mean(
    evaluation: &Evaluation,
    value: impl Fn(&Answer) -> Option<f64>,
    of: impl Fn(&Answer) -> bool,
) -> f64 {
    let mut facts = BTreeMap::<usize, (f64, f64)>::new();
    for answer in evaluation.answers.iter().filter(|answer| of(answer)) {
        if let Some(value) = value(answer) {
            let (sum, count) = facts.entry(answer.fact).or_default();
            (*sum, *count) = (*sum + value, *count + 1.0);
        }
    }
    facts.values().map(|(sum, count)| sum / count).sum::<f64>() / facts.len() as f64
}

/// 1 for an exact answer.
pub(crate) fn exact(answer: &Answer) -> Option<f64> {
    Some(f64::from(u8::from(answer.exact)))
}

/// About a fact trained both ways.
pub(crate) fn both(answer: &Answer) -> bool {
    answer.group == Group::Both
}

/// About a fact of one direction, asked in it.
pub(crate) fn forward(answer: &Answer) -> bool {
    !both(answer) && answer.group.trains(answer.direction) == Some(true)
}

/// About a fact of one direction, asked in the other one.
pub(crate) fn reversed(answer: &Answer) -> bool {
    answer.group.trains(answer.direction) == Some(false)
}

/// The training sentences of the same people, all of them in both directions.
///
/// # Errors
/// None for the patterns built in.
pub(crate) fn people_both_ways(facts: &[Fact]) -> Result<Vec<Record>, backstitch_language::Error> {
    let both = |fact: &Fact| Fact { group: Group::Both, ..fact.clone() };
    Ok(FactSet::new(facts.iter().map(both).collect(), &people_templates()?).train)
}
