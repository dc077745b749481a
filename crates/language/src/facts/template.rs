//! Sentence patterns.

use std::collections::HashSet;

use super::{Direction, Fact};
use crate::Error;

/// A sentence with one slot for the name and one for the description: `"today {name} is known as the {description}"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    text: String,
    direction: Direction,
    /// Positions of the earlier and the later slot.
    slots: (usize, usize),
}

const NAME: &str = "{name}";
const DESCRIPTION: &str = "{description}";

impl Template {
    /// Reads a pattern. The later slot is the target; the white space before it becomes the space that starts the
    /// completion, so there must be exactly one space before it.
    ///
    /// # Errors
    /// [`Error::Template`] if a slot is missing or double, or the later slot does not follow a space.
    pub fn new(text: &str) -> Result<Self, Error> {
        let problem = |problem: String| Error::Template { template: text.into(), problem };
        let mut at = [0; 2];
        for (slot, position) in [NAME, DESCRIPTION].into_iter().zip(&mut at) {
            let mut places = text.match_indices(slot);
            match (places.next(), places.next()) {
                (Some((place, _)), None) => *position = place,
                (None, _) => return Err(problem(format!("has no {slot}"))),
                (Some(_), Some(_)) => return Err(problem(format!("has {slot} more than once"))),
            }
        }
        let direction =
            if at[0] < at[1] { Direction::NameToDescription } else { Direction::DescriptionToName };
        let slots = (at[0].min(at[1]), at[0].max(at[1]));
        let before = &text[..slots.1];
        if !before.ends_with(' ') || before.ends_with("  ") {
            return Err(problem("needs exactly one space before its later slot".into()));
        }
        Ok(Self { text: text.into(), direction, slots })
    }

    /// Which slot comes first.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// The pattern as it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its words without the slots.
    pub fn connectors(&self) -> impl Iterator<Item = &str> {
        self.text.split_whitespace().filter(|word| !word.contains(NAME) && !word.contains(DESCRIPTION))
    }

    /// Prompt and completion of a fact.
    pub(super) fn fill(&self, fact: &Fact, direction: Direction) -> (String, String) {
        let (first_slot, second_slot) = match direction {
            Direction::NameToDescription => (NAME, DESCRIPTION),
            Direction::DescriptionToName => (DESCRIPTION, NAME),
        };
        let (first, second) = (fact.target(direction.reversed()), fact.target(direction));
        let start = &self.text[..self.slots.0];
        let middle = &self.text[self.slots.0 + first_slot.len()..self.slots.1];
        let rest = &self.text[self.slots.1 + second_slot.len()..];
        let middle = middle.strip_suffix(' ').unwrap_or(middle);
        (format!("{start}{first}{middle}"), format!(" {second}{rest}"))
    }
}

/// The patterns of both directions, each split into training and held-out ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Templates {
    sides: [(Vec<Template>, Vec<Template>); 2],
}

impl Templates {
    /// Takes the patterns of one direction after the other, in each the training ones and the held-out ones.
    ///
    /// # Errors
    /// [`Error::Template`] for a pattern of the other direction; [`Error::UnseenConnector`] if a held-out pattern has a word
    /// that no training pattern of its direction has (a question in it would fail for its form, not for its content).
    pub fn new(
        name_to_description: (Vec<Template>, Vec<Template>),
        description_to_name: (Vec<Template>, Vec<Template>),
    ) -> Result<Self, Error> {
        for (direction, (train, held_out)) in
            Direction::BOTH.into_iter().zip([&name_to_description, &description_to_name])
        {
            for template in train.iter().chain(held_out) {
                if template.direction != direction {
                    let problem = format!("is {}, not {}", template.direction.as_str(), direction.as_str());
                    return Err(Error::Template { template: template.text.clone(), problem });
                }
            }
            let known: HashSet<&str> = train.iter().flat_map(Template::connectors).collect();
            for template in held_out {
                if let Some(word) = template.connectors().find(|word| !known.contains(word)) {
                    return Err(Error::UnseenConnector {
                        template: template.text.clone(),
                        word: word.into(),
                    });
                }
            }
        }
        Ok(Self { sides: [name_to_description, description_to_name] })
    }

    /// Patterns that only ask, of either direction: for a model that was trained elsewhere.
    pub fn for_questions(patterns: Vec<Template>) -> Self {
        let (name_first, description_first) =
            patterns.into_iter().partition(|template| template.direction == Direction::NameToDescription);
        Self { sides: [(vec![], name_first), (vec![], description_first)] }
    }

    /// Training and held-out patterns of a direction.
    pub fn of(&self, direction: Direction) -> (&[Template], &[Template]) {
        let (train, held_out) = &self.sides[match direction {
            Direction::NameToDescription => 0,
            Direction::DescriptionToName => 1,
        }];
        (train, held_out)
    }
}
