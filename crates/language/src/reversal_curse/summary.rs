//! Means over facts.

use std::collections::BTreeMap;

use backstitch_numerics::Interval;
use backstitch_numerics::interval::mean_t;
use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

use super::evaluate::{Answer, Evaluation};
use crate::facts::{Direction, Group};

/// One group of facts asked in one direction.
#[derive(Clone, Debug, PartialEq)]
pub struct SummaryRow {
    /// The group.
    pub group: Group,
    /// The direction of the questions.
    pub direction: Direction,
    /// Was the group not trained in this direction? `None` if that is not known.
    pub reversed: Option<bool>,
    /// Facts asked about: the independent observations.
    pub facts: usize,
    /// Questions.
    pub questions: usize,
    /// Share of exact matches.
    pub exact: Interval,
    /// Share of questions whose correct answer is first among all facts.
    pub top1: Interval,
    /// What guessing gives there.
    pub chance: f64,
    /// Share of questions whose correct answer is first within the group.
    pub top1_in_group: Interval,
    /// What guessing gives there.
    pub chance_in_group: f64,
    /// Mean log-probability difference to a random other of the group, in nats; `None` where no fact has one.
    pub difference: Option<Interval>,
}

impl Evaluation {
    /// One row per group and direction that was asked, in that order. Intervals are 95 % over facts (Student's t on the means
    /// of the facts); with one fact they are one point.
    pub fn summary(&self) -> Vec<SummaryRow> {
        let mut rows: BTreeMap<(Group, Direction), Vec<&Answer>> = BTreeMap::new();
        for answer in &self.answers {
            rows.entry((answer.group, answer.direction)).or_default().push(answer);
        }
        rows.into_iter().map(|((group, direction), answers)| row(group, direction, &answers)).collect()
    }

    /// The mean of `value` per fact, for the answers that have one: clusters are already averaged, in the order of facts.
    pub fn per_fact(
        &self,
        group: Group,
        direction: Direction,
        value: impl Fn(&Answer) -> Option<f64>,
    ) -> Vec<(usize, f64)> {
        let answers = self.answers.iter().filter(|a| a.group == group && a.direction == direction);
        means(answers, value)
    }
}

fn row(group: Group, direction: Direction, answers: &[&Answer]) -> SummaryRow {
    let share = |is: fn(&Answer) -> bool| {
        interval(&means(answers.iter().copied(), |answer| Some(f64::from(u8::from(is(answer))))))
            .unwrap_or(Interval::point(0.0))
    };
    // All questions of a row have the same candidates: all facts, and the group.
    let chance = |candidates: fn(&Answer) -> usize| 1.0 / answers.first().map_or(1, |a| candidates(a)) as f64;
    SummaryRow {
        group,
        direction,
        reversed: group.trains(direction).map(|trained| !trained),
        facts: means(answers.iter().copied(), |_| Some(0.0)).len(),
        questions: answers.len(),
        exact: share(|answer| answer.exact),
        top1: share(|answer| answer.above == 0),
        chance: chance(|answer| answer.candidates),
        top1_in_group: share(|answer| answer.above_in_group == 0),
        chance_in_group: chance(|answer| answer.candidates_in_group),
        difference: interval(&means(answers.iter().copied(), |answer| answer.difference)),
    }
}

fn means<'a>(
    answers: impl Iterator<Item = &'a Answer>,
    value: impl Fn(&Answer) -> Option<f64>,
) -> Vec<(usize, f64)> {
    let mut sums: BTreeMap<usize, (f64, usize)> = BTreeMap::new();
    for answer in answers {
        if let Some(value) = value(answer) {
            let (sum, count) = sums.entry(answer.fact).or_default();
            *sum += value;
            *count += 1;
        }
    }
    sums.into_iter().map(|(fact, (sum, count))| (fact, sum / count as f64)).collect()
}

/// `None` without a value. An infinite value (an answer that the model excludes) has no interval but itself.
fn interval(per_fact: &[(usize, f64)]) -> Option<Interval> {
    let values: Vec<f64> = per_fact.iter().map(|&(_, value)| value).collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    if values.is_empty() {
        return None;
    }
    Some(mean_t(&values).unwrap_or(Interval::point(mean)))
}

impl Serialize for SummaryRow {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ends = |interval: &Interval| [interval.estimate, interval.lower, interval.upper];
        let mut row = serializer.serialize_struct("SummaryRow", 11)?;
        row.serialize_field("group", &self.group)?;
        row.serialize_field("direction", &self.direction)?;
        row.serialize_field("reversed", &self.reversed)?;
        row.serialize_field("facts", &self.facts)?;
        row.serialize_field("questions", &self.questions)?;
        row.serialize_field("exact", &ends(&self.exact))?;
        row.serialize_field("top1", &ends(&self.top1))?;
        row.serialize_field("chance", &self.chance)?;
        row.serialize_field("top1_in_group", &ends(&self.top1_in_group))?;
        row.serialize_field("chance_in_group", &self.chance_in_group)?;
        row.serialize_field("difference", &self.difference.as_ref().map(ends))?;
        row.end()
    }
}
