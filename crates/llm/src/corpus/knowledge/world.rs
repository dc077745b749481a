//! The people of the world, and what is known of them.

use std::collections::HashMap;
use std::sync::LazyLock;

use backstitch_numerics::Stream;

/// The seed of the world. Another one is another world, for which no model was trained.
const WORLD_SEED: u64 = 0;

/// Number of people.
const PEOPLE: usize = 150;

/// Share of the facts in the closed-book training text.
pub const KNOWN: f64 = 0.6;

/// Share of the facts with a passage.
pub const WITH_PASSAGE: f64 = 0.8;

/// Share of the passages that state another value.
pub const CORRUPTED: f64 = 0.15;

/// Share of the two-hop questions that are never trained on.
pub const HELD_OUT: f64 = 0.2;

/// The words of people's names.
pub(super) const NAME_WORDS: [&str; 40] = [
    "Bal", "Tor", "Kim", "Ras", "Dov", "Len", "Mur", "Sai", "Vek", "Nol", "Pim", "Jor", "Hal", "Rud", "Zan",
    "Fex", "Gil", "Oma", "Tam", "Wil", "Bex", "Cor", "Dal", "Eri", "Fen", "Gor", "Hub", "Ivo", "Jat", "Kel",
    "Lom", "Mek", "Nir", "Ost", "Pell", "Quin", "Rov", "Sut", "Tev", "Ulm",
];

/// The places.
pub(super) const PLACES: [&str; 24] = [
    "Arden", "Brusk", "Calder", "Dunmar", "Elsing", "Farrow", "Glint", "Harbek", "Istra", "Jarlow", "Kestra",
    "Lorne", "Marlo", "Norrin", "Ordal", "Prell", "Quarne", "Rosk", "Selby", "Tarn", "Urvik", "Valmy",
    "Wesk", "Yarrow",
];

/// What relates a person to a person or a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Relation {
    /// To a person.
    Teacher,
    /// To a person.
    Friend,
    /// To a person.
    Rival,
    /// To a place.
    Home,
    /// To a place.
    Origin,
    /// To a place.
    Office,
}

impl Relation {
    /// All of them, those to people first.
    pub const ALL: [Self; 6] =
        [Self::Teacher, Self::Friend, Self::Rival, Self::Home, Self::Origin, Self::Office];

    /// Those to people: the first hop of a two-hop question.
    pub const TO_PEOPLE: [Self; 3] = [Self::Teacher, Self::Friend, Self::Rival];

    pub(super) fn to_person(self) -> bool {
        Self::TO_PEOPLE.contains(&self)
    }

    fn noun(self) -> &'static str {
        match self {
            Self::Teacher => "teacher",
            Self::Friend => "friend",
            Self::Rival => "rival",
            Self::Home => "home",
            Self::Origin => "origin",
            Self::Office => "office",
        }
    }

    /// The question for the value of this relation of something.
    pub(super) fn question(self, of: &str) -> String {
        let word = if self.to_person() { "Who" } else { "Where" };
        format!("{word} is the {} of {of}?", self.noun())
    }

    /// The question for this relation of the value of another.
    pub(super) fn question_behind(self, first: Self, person: &str) -> String {
        self.question(&format!("the {} of {person}", first.noun()))
    }

    /// The sentence that states a value, which stands right behind its relation: what a small model learns to look up first.
    pub(super) fn sentence(self, of: &str, value: &str) -> String {
        format!("{of} has the {} {value}.", self.noun())
    }
}

/// One fact of the world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Whose.
    pub person: usize,
    /// What.
    pub relation: Relation,
    /// Its value: the name of a person or a place.
    pub value: String,
    /// The person that the value is.
    leads_to: Option<usize>,
    /// Whether it is in the closed-book training text.
    pub known: bool,
    /// What the passage about it says, if there is one: the value, or another.
    pub passage: Option<String>,
}

/// A question for a relation of a relation.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TwoHop {
    /// Who it starts from.
    pub person: usize,
    /// The relation to a second person.
    pub first: Relation,
    /// The relation of that person.
    pub second: Relation,
}

/// The people and the facts.
#[derive(Clone, Debug)]
pub struct World {
    pub(super) people: Vec<String>,
    pub(super) places: HashMap<String, usize>,
    /// By person, then by relation in the order of [`Relation::ALL`].
    pub(super) facts: Vec<Fact>,
    /// Two-hop questions that may be trained on, and those that may not.
    pub(super) trained: Vec<TwoHop>,
    held_out: Vec<TwoHop>,
}

static WORLD: LazyLock<World> = LazyLock::new(World::draw);

impl World {
    /// The one world.
    pub fn get() -> &'static Self {
        &WORLD
    }

    /// All facts.
    pub fn facts(&self) -> &[Fact] {
        &self.facts
    }

    /// The texts of all passages, one fact each, corrupted ones among them.
    pub fn passages(&self) -> Vec<String> {
        let stated = self.facts.iter().filter_map(|fact| {
            Some(fact.relation.sentence(&self.people[fact.person], fact.passage.as_deref()?))
        });
        stated.collect()
    }

    /// The two-hop questions that no training text holds.
    pub fn held_out(&self) -> &[TwoHop] {
        &self.held_out
    }

    /// The name of a person.
    pub fn name(&self, person: usize) -> &str {
        &self.people[person]
    }

    /// The fact behind a relation of a person.
    pub fn fact(&self, person: usize, relation: Relation) -> &Fact {
        &self.facts[person * Relation::ALL.len() + relation as usize]
    }

    /// The question for one fact.
    pub fn question(&self, fact: &Fact) -> String {
        fact.relation.question(&self.people[fact.person])
    }

    /// The facts that answer a two-hop question, in their order.
    pub fn hops(&self, question: &TwoHop) -> [&Fact; 2] {
        let first = self.fact(question.person, question.first);
        // The first relation of a two-hop question leads to a person.
        [first, self.fact(first.leads_to.unwrap_or(question.person), question.second)]
    }

    /// The text of a two-hop question.
    pub fn two_hop_question(&self, question: &TwoHop) -> String {
        question.second.question_behind(question.first, &self.people[question.person])
    }

    /// Its answer.
    pub fn two_hop_answer(&self, question: &TwoHop) -> &str {
        &self.hops(question)[1].value
    }

    pub(super) fn is_person(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    /// Whether a fact, or what a passage says instead, is this.
    pub(super) fn says(&self, of: &str, relation: Relation, value: &str) -> bool {
        self.places.get(of).is_some_and(|&person| {
            let fact = self.fact(person, relation);
            fact.value == value || fact.passage.as_deref() == Some(value)
        })
    }

    pub(super) fn holds_out(&self, of: &str, first: Relation, second: Relation) -> bool {
        let question = self.places.get(of).map(|&person| TwoHop { person, first, second });
        question.is_some_and(|question| self.held_out.binary_search(&question).is_ok())
    }

    fn draw() -> Self {
        let stream = |purpose: &str| Stream::new(WORLD_SEED, &format!("corpus knowledge {purpose}"));
        let mut people = all_names();
        stream("names").shuffle(&mut people);
        people.truncate(PEOPLE);
        // A stream each, so that one share does not shift the draws of another.
        let (mut values, mut known, mut passages) = (stream("values"), stream("known"), stream("passages"));
        let mut facts = Vec::new();
        for person in 0..PEOPLE {
            for relation in Relation::ALL {
                let leads_to = relation.to_person().then(|| other(&mut values, PEOPLE, person));
                let value = match leads_to {
                    Some(person) => people[person].clone(),
                    None => PLACES[values.below(PLACES.len())].to_owned(),
                };
                let known = known.uniform() < KNOWN;
                let (stated, corrupted) = (passages.uniform() < WITH_PASSAGE, passages.uniform() < CORRUPTED);
                let wrong = match leads_to {
                    Some(right) => people[other(&mut passages, PEOPLE, right)].clone(),
                    None => {
                        let right = PLACES.iter().position(|place| **place == value).unwrap_or_default();
                        PLACES[other(&mut passages, PLACES.len(), right)].to_owned()
                    }
                };
                let passage = stated.then(|| if corrupted { wrong } else { value.clone() });
                facts.push(Fact { person, relation, value, leads_to, known, passage });
            }
        }
        let places = people.iter().cloned().zip(0..).collect();
        let mut world = Self { people, places, facts, trained: Vec::new(), held_out: Vec::new() };
        let mut split = stream("held out");
        for person in 0..PEOPLE {
            for first in Relation::TO_PEOPLE {
                for second in Relation::ALL {
                    let question = TwoHop { person, first, second };
                    if split.uniform() < HELD_OUT {
                        world.held_out.push(question);
                    } else if world.hops(&question).iter().all(|fact| fact.known) {
                        world.trained.push(question);
                    }
                }
            }
        }
        world
    }
}

/// A draw from `0..bound` without one of them.
pub(super) fn other(stream: &mut Stream, bound: usize, without: usize) -> usize {
    let drawn = stream.below(bound - 1);
    drawn + usize::from(drawn >= without)
}

fn all_names() -> Vec<String> {
    let mut names = Vec::new();
    for first in NAME_WORDS {
        for second in NAME_WORDS {
            if first != second {
                names.push(format!("{first} {second}"));
            }
        }
    }
    names
}
