//! Which layers can hold a finite automaton: the group-like parts of what its words do to its states.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::Read;
use std::path::Path;

use backstitch_data::jsonl;
use serde::Serialize;

use super::sequences::split;
use super::tasks::reflections;
use crate::Error;

/// Most actions of words that are looked at.
const MOST_ACTIONS: usize = 50_000;

/// A deterministic automaton: every token takes every state to one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Automaton {
    /// Names of the states.
    pub states: Vec<String>,
    /// Names of the tokens.
    pub tokens: Vec<String>,
    /// For every token, where each state goes.
    pub next: Vec<Vec<usize>>,
}

const FORMAT: &str =
    "give a table with the columns state, token and next, one line for every state and token";

impl Automaton {
    /// Reads a table with the columns `state`, `token` and `next`.
    ///
    /// # Errors
    /// Names the file and the line: a column that is missing, a pair of state and token that comes twice or not at all.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let lines = jsonl::read_lines(file).map_err(|error| Error::data(error.to_string(), FORMAT))?;
        Self::parse(&lines, file)
    }

    /// The same from any reader; `name` stands for the file in errors.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_from(reader: impl Read, name: &Path) -> Result<Self, Error> {
        let lines =
            jsonl::read_lines_from(reader, name).map_err(|error| Error::data(error.to_string(), FORMAT))?;
        Self::parse(&lines, name)
    }

    fn parse(lines: &[(usize, String)], file: &Path) -> Result<Self, Error> {
        let refused = |line: usize, problem: String| {
            Error::data(format!("{}, line {line}: {problem}", file.display()), FORMAT)
        };
        let Some(((first, header), rows)) = lines.split_first() else {
            return Err(Error::data(format!("{}: no transitions", file.display()), FORMAT));
        };
        let separator = ['\t', ';', ','].into_iter().find(|own| header.contains(*own)).unwrap_or(',');
        let fields = |line: usize, text: &str| -> Result<Vec<String>, Error> {
            let fields =
                split(text, separator).ok_or_else(|| refused(line, "a quote is not closed".into()))?;
            Ok(fields.iter().map(|field| field.trim().to_owned()).collect())
        };
        let names = fields(*first, header)?;
        let mut places = [0; 3];
        for (place, wanted) in places.iter_mut().zip(["state", "token", "next"]) {
            *place = names.iter().position(|name| name == wanted).ok_or_else(|| {
                refused(*first, format!("no column `{wanted}`; there is {}", names.join(", ")))
            })?;
        }
        let mut found: BTreeMap<(String, String), (String, usize)> = BTreeMap::new();
        for (line, text) in rows {
            let row = fields(*line, text)?;
            if row.len() != names.len() {
                let problem = format!("{} fields, but the header has {}", row.len(), names.len());
                return Err(refused(*line, problem));
            }
            let [state, token, next] = places.map(|place| row[place].clone());
            if [&state, &token, &next].iter().any(|name| name.is_empty()) {
                return Err(refused(*line, "a name is empty".into()));
            }
            if let Some((_, before)) = found.insert((state.clone(), token.clone()), (next, *line)) {
                let problem = format!("state {state:?} with token {token:?} is already on line {before}");
                return Err(refused(*line, problem));
            }
        }
        let tokens: BTreeSet<&String> = found.keys().map(|(_, token)| token).collect();
        let states: BTreeSet<&String> =
            found.iter().flat_map(|((state, _), (next, _))| [state, next]).collect();
        let (tokens, states): (Vec<String>, Vec<String>) =
            (tokens.into_iter().cloned().collect(), states.into_iter().cloned().collect());
        if tokens.is_empty() {
            return Err(refused(*first, "no transitions after the header".into()));
        }
        let mut next = vec![Vec::with_capacity(states.len()); tokens.len()];
        for (token, row) in tokens.iter().zip(&mut next) {
            for state in &states {
                let Some((to, _)) = found.get(&(state.clone(), token.clone())) else {
                    let problem =
                        format!("{}: state {state:?} with token {token:?} goes nowhere", file.display());
                    return Err(Error::data(problem, FORMAT));
                };
                // Every state that is gone to is among the states.
                row.push(states.binary_search(to).unwrap_or(0));
            }
        }
        Ok(Self { states, tokens, next })
    }

    /// Looks at what tokens and words do to the states.
    pub fn probe(&self) -> Probe {
        let tokens: Vec<TokenAction> =
            self.tokens.iter().zip(&self.next).map(|(name, action)| TokenAction::new(name, action)).collect();
        let identity: Vec<usize> = (0..self.states.len()).collect();
        let (mut seen, mut queue) = (HashSet::from([identity.clone()]), vec![identity]);
        let (mut whole, mut longest, mut odd) = (true, 1, false);
        while let Some(action) = queue.pop() {
            let own = period(&action);
            longest = longest.max(own);
            odd |= !own.is_power_of_two();
            for by in &self.next {
                let next: Vec<usize> = action.iter().map(|&state| by[state]).collect();
                if seen.len() >= MOST_ACTIONS {
                    whole = false;
                } else if seen.insert(next.clone()) {
                    queue.push(next);
                }
            }
        }
        let permutations = tokens.iter().all(|token| token.permutation);
        let reflections = tokens.iter().map(|token| token.reflections.unwrap_or(0)).max().unwrap_or(0);
        let own = tokens.iter().map(|token| token.period).max().unwrap_or(1);
        Probe {
            states: self.states.len(),
            actions: seen.len(),
            all_actions: whole,
            longest_period: longest,
            positive_diagonal: answer(longest == 1, whole),
            signed_diagonal: answer(!odd, whole),
            positive_householder: if own > 1 { Answer::No } else { Answer::Open },
            signed_householder: match (permutations && reflections <= 1, own > 2) {
                (true, _) => Answer::Yes,
                (_, true) => Answer::Stack,
                _ => Answer::Open,
            },
            householders: permutations.then_some(reflections),
            tokens,
        }
    }
}

fn answer(possible: bool, whole: bool) -> Answer {
    match (possible, whole) {
        (false, _) => Answer::No,
        (true, true) => Answer::Open,
        (true, false) => Answer::Unknown,
    }
}

/// The least common multiple of the cycles that remain when an action is repeated.
fn period(action: &[usize]) -> usize {
    let gcd = |mut a: usize, mut b: usize| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let mut all = 1_usize;
    for start in 0..action.len() {
        let mut at = start;
        for _ in 0..action.len() {
            at = action[at];
        }
        let (cycle, mut length) = (at, 1_usize);
        at = action[at];
        while at != cycle {
            at = action[at];
            length += 1;
        }
        all = (all / gcd(all, length)).saturating_mul(length);
    }
    all
}

/// Whether a layer can hold an automaton at any length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// One layer can, exactly.
    Yes,
    /// Nothing here rules it out; it may take several layers.
    Open,
    /// One layer cannot; several may.
    Stack,
    /// No number of such layers can.
    No,
    /// There are too many actions of words to look at all.
    Unknown,
}

/// What one token does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TokenAction {
    /// Its name.
    pub name: String,
    /// Whether no two states go to the same.
    pub permutation: bool,
    /// After so many further repetitions the same states come back; 1 for what settles.
    pub period: usize,
    /// Householder matrices that its permutation is a product of.
    pub reflections: Option<usize>,
}

impl TokenAction {
    fn new(name: &str, action: &[usize]) -> Self {
        let images: BTreeSet<&usize> = action.iter().collect();
        let permutation = images.len() == action.len();
        Self {
            name: name.into(),
            permutation,
            period: period(action),
            reflections: permutation.then(|| reflections(action)),
        }
    }
}

/// What an automaton asks of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probe {
    /// States.
    pub states: usize,
    /// Different actions of words, the empty word among them.
    pub actions: usize,
    /// Whether these are all.
    pub all_actions: bool,
    /// The longest period of a word: 1 where nothing is counted, 2 for parity.
    pub longest_period: usize,
    /// Diagonal layers with eigenvalues in [0, 1]: no word may have a period above 1.
    pub positive_diagonal: Answer,
    /// Diagonal layers with eigenvalues in [−1, 1]: the period of every word must be a power of two.
    pub signed_diagonal: Answer,
    /// Delta layers with eigenvalues in [0, 1] and one Householder step per token: no token may have a period above 1.
    pub positive_householder: Answer,
    /// Delta layers with eigenvalues in [−1, 1] and one Householder step per token: where no token is more than a swap, one layer does it; one
    /// layer cannot repeat a token of a period above 2.
    pub signed_householder: Answer,
    /// Householder steps per token with which one delta layer holds the automaton exactly, where all tokens permute the states.
    pub householders: Option<usize>,
    /// Token by token.
    pub tokens: Vec<TokenAction>,
}
