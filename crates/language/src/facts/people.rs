//! Fictitious people: names of two ambiguous words, descriptions of four shared words.

use std::collections::HashSet;

use backstitch_numerics::Stream;
use serde::{Deserialize, Serialize};

use super::words::{
    ADJECTIVES, DESCRIPTION_FIRST, FIRST_NAMES, JOBS, LAST_NAMES, NAME_FIRST, TITLES, TRAINING_TEMPLATES,
};
use super::{Fact, FactSet, Group, Template, Templates};
use crate::Error;

/// Fewest people that share each word of a name.
const LEAST_SHARED: usize = 3;

/// How many people of each group. The default is the quick study of spt: 150 people, 60 + 60 + 30.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeopleParameters {
    /// People trained with the name first only.
    pub name_to_description: usize,
    /// People trained with the description first only.
    pub description_to_name: usize,
    /// People trained both ways.
    pub both: usize,
    /// First names in use, at most 40; every one belongs to at least 3 people.
    pub first_names: usize,
    /// Last names in use, at most 40; every one belongs to at least 3 people.
    pub last_names: usize,
}

impl Default for PeopleParameters {
    fn default() -> Self {
        Self { name_to_description: 60, description_to_name: 60, both: 30, first_names: 40, last_names: 40 }
    }
}

impl PeopleParameters {
    /// The number of people.
    pub fn people(&self) -> usize {
        self.name_to_description.saturating_add(self.description_to_name).saturating_add(self.both)
    }

    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] with the first one outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        for (name, value, most) in [
            ("first_names", self.first_names, FIRST_NAMES.len()),
            ("last_names", self.last_names, LAST_NAMES.len()),
        ] {
            if value < 2 || value > most {
                return Err(Error::Parameter {
                    name,
                    value: value.to_string(),
                    allowed: format!("from 2 to {most}"),
                    way_out: "the list of names has that many; bring facts of your own for more",
                });
            }
        }
        let people = self.people();
        let least = LEAST_SHARED * self.first_names.max(self.last_names);
        // At half of all combinations distinct ones are still found quickly.
        let combinations = self.first_names * self.last_names;
        let descriptions = ADJECTIVES.len() * JOBS.len() * TITLES.len();
        let most = (combinations / 2).min(descriptions / 2);
        if people < least || people > most {
            return Err(Error::Parameter {
                name: "people (all groups together)",
                value: people.to_string(),
                allowed: format!("from {least} to {most} for these numbers of names"),
                way_out: "every word of a name is to be shared by 3 people and every pair to be unique; change the number \
                          of people or of names",
            });
        }
        Ok(())
    }
}

/// The eight patterns per direction, six for training and two held out.
///
/// # Errors
/// None for the patterns built in; the signature is that of [`Templates::new`].
pub fn people_templates() -> Result<Templates, Error> {
    let read =
        |patterns: &[&str]| patterns.iter().map(|text| Template::new(text)).collect::<Result<Vec<_>, _>>();
    let split = |patterns: &[&str]| -> Result<_, Error> {
        Ok((read(&patterns[..TRAINING_TEMPLATES])?, read(&patterns[TRAINING_TEMPLATES..])?))
    };
    Templates::new(split(&NAME_FIRST)?, split(&DESCRIPTION_FIRST)?)
}

/// People with their training sentences and questions. Names and descriptions are unique as wholes; every first and
/// last name belongs to at least three people; descriptions are `<adjective> <job> of <title>`.
///
/// # Errors
/// [`Error::Parameter`].
pub fn people(parameters: &PeopleParameters, seed: u64) -> Result<FactSet, Error> {
    parameters.validate()?;
    let people = parameters.people();
    let mut stream = Stream::new(seed, "facts people");
    let names = distinct(people, [parameters.first_names, parameters.last_names], &mut stream);
    let descriptions = distinct(people, [ADJECTIVES.len(), JOBS.len(), TITLES.len()], &mut stream);
    let facts = names
        .into_iter()
        .zip(descriptions)
        .enumerate()
        .map(|(position, ([first, last], [adjective, job, title]))| Fact {
            name: format!("{} {}", FIRST_NAMES[first], LAST_NAMES[last]),
            description: format!("{} {} of {}", ADJECTIVES[adjective], JOBS[job], TITLES[title]),
            group: if position < parameters.name_to_description {
                Group::NameToDescription
            } else if position < parameters.name_to_description + parameters.description_to_name {
                Group::DescriptionToName
            } else {
                Group::Both
            },
        })
        .collect();
    Ok(FactSet::new(facts, &people_templates()?))
}

/// `count` distinct tuples; every word of every place is used equally often, up to one.
fn distinct<const N: usize>(count: usize, sizes: [usize; N], stream: &mut Stream) -> Vec<[usize; N]> {
    let columns = sizes.map(|size| balanced(count, size, stream));
    let mut tuples: Vec<[usize; N]> =
        (0..count).map(|row| std::array::from_fn(|place| columns[place][row])).collect();
    // A repeated tuple exchanges its last word with that of a random row, until none repeats. There are at least twice
    // as many tuples as rows, so an exchange succeeds often.
    loop {
        let mut seen = HashSet::new();
        let Some(repeated) = tuples.iter().position(|tuple| !seen.insert(*tuple)) else {
            return tuples;
        };
        let other = stream.below(count);
        let last = tuples[repeated][N - 1];
        tuples[repeated][N - 1] = tuples[other][N - 1];
        tuples[other][N - 1] = last;
    }
}

fn balanced(count: usize, size: usize, stream: &mut Stream) -> Vec<usize> {
    let extra = stream.permutation(size);
    let mut words: Vec<usize> = (0..count)
        .map(|row| if row < count / size * size { row % size } else { extra[row % size] })
        .collect();
    stream.shuffle(&mut words);
    words
}
