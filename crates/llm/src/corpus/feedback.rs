//! The skill of `textgrad`: a code of three digits is improved from feedback in words.
//!
//! Somebody knows a hidden code and says of each digit of another one how it stands to the hidden digit: right, too low or too high by one
//! or two, far too low or far too high by three or more. There are two modes. *Improve*: from a code and the feedback on it, and on earlier
//! ones if there were any, to a better code. *Trace*: from feedback on the output of a known function to feedback on its input.
//!
//! A completion holds nothing about the hidden code beyond what the feedback says: [`revised`] and [`Link::back`] do not know it.
//! Codes that are [held out](Code::is_held_out) stand in no example, neither in prompts nor in completions.

use std::fmt;
use std::str::FromStr;

use backstitch_numerics::Stream;

use super::Example;

/// Digits of a code.
pub const DIGITS: usize = 3;

/// What feedback calls them.
const PLACES: [&str; DIGITS] = ["first", "second", "third"];

/// Most earlier codes in a prompt.
pub const WINDOW: usize = 3;

/// Share of noisy statements in examples with noise.
const NOISE: f64 = 0.3;

/// Three digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub [u8; DIGITS]);

/// How a digit stands to the hidden one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Lower by three or more.
    FarTooLow,
    /// Lower by one or two.
    TooLow,
    /// The same.
    Right,
    /// Higher by one or two.
    TooHigh,
    /// Higher by three or more.
    FarTooHigh,
}

/// What is said of a code: a level for each digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feedback(pub [Level; DIGITS]);

/// A known function from codes to codes, through which feedback can be traced back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The digits in reversed order.
    Reverse,
    /// Each digit subtracted from nine: what is too high of the output is too low of the input.
    Flip,
    /// The first digit goes to the end.
    Rotate,
}

/// A hidden code to be found, and the code to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where one begins.
    pub start: Code,
    /// What is hidden.
    pub target: Code,
}

impl Code {
    /// Whether it stands in no example: the digits add up to a multiple of five. Reversed and rotated codes are held out together.
    pub fn is_held_out(self) -> bool {
        self.0.iter().sum::<u8>().is_multiple_of(5)
    }

    /// A random code.
    pub fn random(stream: &mut Stream) -> Self {
        Self(std::array::from_fn(|_| digit(stream)))
    }

    fn known(stream: &mut Stream) -> Self {
        drawn(stream, |code| !code.is_held_out())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [first, second, third] = self.0;
        write!(formatter, "{first} {second} {third}")
    }
}

impl FromStr for Code {
    type Err = String;

    /// Three digits with whitespace between them.
    fn from_str(text: &str) -> Result<Self, String> {
        let digits: Option<Vec<u8>> = text
            .split_whitespace()
            .map(|word| word.parse().ok().filter(|digit| word.len() == 1 && *digit < 10))
            .collect();
        let digits = digits.and_then(|digits| digits.try_into().ok());
        digits.map(Self).ok_or_else(|| format!("{text:?} is no code of three digits like \"3 7 1\""))
    }
}

impl Level {
    /// All of them, the lowest first.
    const ALL: [Self; 5] = [Self::FarTooLow, Self::TooLow, Self::Right, Self::TooHigh, Self::FarTooHigh];

    /// How a digit stands to the hidden one.
    pub fn of(digit: u8, hidden: u8) -> Self {
        match i16::from(digit) - i16::from(hidden) {
            ..=-3 => Self::FarTooLow,
            -2 | -1 => Self::TooLow,
            0 => Self::Right,
            1 | 2 => Self::TooHigh,
            3.. => Self::FarTooHigh,
        }
    }

    fn opposite(self) -> Self {
        match self {
            Self::FarTooLow => Self::FarTooHigh,
            Self::TooLow => Self::TooHigh,
            Self::Right => Self::Right,
            Self::TooHigh => Self::TooLow,
            Self::FarTooHigh => Self::FarTooLow,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::FarTooLow => "far too low",
            Self::TooLow => "too low",
            Self::Right => "right",
            Self::TooHigh => "too high",
            Self::FarTooHigh => "far too high",
        }
    }
}

impl Feedback {
    /// What is true of a code.
    pub fn of(code: Code, target: Code) -> Self {
        Self(std::array::from_fn(|place| Level::of(code.0[place], target.0[place])))
    }

    /// The same with each level replaced, with this probability, by another one that is possible of the digit.
    pub fn noisy(self, code: Code, probability: f64, stream: &mut Stream) -> Self {
        Self(std::array::from_fn(|place| {
            let level = self.0[place];
            // Drawn in any case, so that other probabilities do not shift the draws that follow.
            let (hidden, replaced) = (stream.below(1 << 16), stream.uniform() < probability);
            let mut others: Vec<Level> = (0..10)
                .map(|hidden| Level::of(code.0[place], hidden))
                .filter(|other| *other != level)
                .collect();
            others.dedup();
            if replaced { others[hidden % others.len()] } else { level }
        }))
    }

    /// Whether every digit is right.
    pub fn is_right(self) -> bool {
        self.0 == [Level::Right; DIGITS]
    }
}

impl fmt::Display for Feedback {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, level)) in PLACES.iter().zip(self.0).enumerate() {
            let before = if place == 0 { "" } else { " , " };
            write!(formatter, "{before}{name} {}", level.words())?;
        }
        write!(formatter, " .")
    }
}

impl FromStr for Feedback {
    type Err = String;

    /// The form in which it is displayed, with any spaces.
    fn from_str(text: &str) -> Result<Self, String> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let text = words.join(" ");
        let found = || {
            let mut levels = [Level::Right; DIGITS];
            let mut parts = text.strip_suffix(" .")?.split(" , ");
            for (level, name) in levels.iter_mut().zip(PLACES) {
                let words = parts.next()?.strip_prefix(name)?.strip_prefix(' ')?;
                *level = *Level::ALL.iter().find(|level| level.words() == words)?;
            }
            parts.next().is_none().then_some(Self(levels))
        };
        found().ok_or_else(|| {
            format!("{text:?} is no feedback like \"first right , second too low , third too high .\"")
        })
    }
}

impl Link {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Reverse, Self::Flip, Self::Rotate];

    /// Its name in prompts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reverse => "reverse",
            Self::Flip => "flip",
            Self::Rotate => "rotate",
        }
    }

    /// What it makes of a code.
    pub fn apply(self, code: Code) -> Code {
        let [first, second, third] = code.0;
        Code(match self {
            Self::Reverse => [third, second, first],
            Self::Flip => [9 - first, 9 - second, 9 - third],
            Self::Rotate => [second, third, first],
        })
    }

    /// What feedback on its output says of its input.
    pub fn back(self, feedback: Feedback) -> Feedback {
        let [first, second, third] = feedback.0;
        Feedback(match self {
            Self::Reverse => [third, second, first],
            Self::Flip => [first.opposite(), second.opposite(), third.opposite()],
            Self::Rotate => [third, first, second],
        })
    }
}

impl Problem {
    /// A problem of which no code stands in any example.
    pub fn held_out(stream: &mut Stream) -> Self {
        let target = drawn(stream, Code::is_held_out);
        Self { target, start: drawn(stream, |code| code.is_held_out() && code != target) }
    }
}

/// The better code: in each place a digit of which most statements hold; of several such, one of which the last statement holds; of several
/// such, the middle one. Observations are codes and feedback on them, the oldest first; without any it is 0 0 0.
pub fn revised(observations: &[(Code, Feedback)]) -> Code {
    Code(std::array::from_fn(|place| {
        let merit = |hidden: u8| {
            let mut holds = observations
                .iter()
                .map(|(code, feedback)| Level::of(code.0[place], hidden) == feedback.0[place]);
            (holds.clone().filter(|holds| *holds).count(), holds.next_back())
        };
        let best = (0..10).map(merit).max();
        let equals: Vec<u8> = (0..10).filter(|hidden| Some(merit(*hidden)) == best).collect();
        equals[(equals.len() - 1) / 2]
    }))
}

/// Asks for a better code. Observations as for [`revised`]; the last is that of the code to be improved.
pub fn improve(observations: &[(Code, Feedback)]) -> Example {
    let mut prompt = String::new();
    if let Some(((code, feedback), earlier)) = observations.split_last() {
        prompt = format!("Improve code : {code}\nFeedback : {feedback}");
        for (code, feedback) in earlier {
            prompt += &format!("\nEarlier : {code} : {feedback}");
        }
    }
    let code = revised(observations);
    Example { prompt, completion: format!("<IMPROVED_VARIABLE> {code} </IMPROVED_VARIABLE>") }
}

/// Asks what feedback on the output of a link says of its input.
pub fn trace(link: Link, input: Code, feedback: Feedback) -> Example {
    let (name, output) = (link.name(), link.apply(input));
    Example {
        prompt: format!("Trace code : {name} {input} gives {output}\nFeedback : {feedback}"),
        completion: link.back(feedback).to_string(),
    }
}

/// Asks what the check of a code says of it: the same.
pub fn trace_check(code: Code, feedback: Feedback) -> Example {
    Example {
        prompt: format!("Trace code : check {code} gives {feedback}"),
        completion: feedback.to_string(),
    }
}

/// The completion that belongs to a prompt; nothing if it is none of this skill. What a model says that has learned the skill without fault.
pub fn complete(prompt: &str) -> Option<String> {
    if let Some(rest) = prompt.strip_prefix("Trace code : ") {
        let (name, rest) = rest.split_once(' ')?;
        let (code, outcome) = rest.split_once(" gives ")?;
        let code: Code = code.parse().ok()?;
        if name == "check" {
            return Some(trace_check(code, outcome.parse().ok()?).completion);
        }
        let link = Link::ALL.into_iter().find(|link| link.name() == name)?;
        let (output, feedback) = outcome.split_once("\nFeedback : ")?;
        let is_output = output.parse() == Ok(link.apply(code));
        return Some(trace(link, code, feedback.parse().ok().filter(|_| is_output)?).completion);
    }
    let (now, earlier) = prompt.strip_prefix("Improve code : ")?.split_once("\nFeedback : ")?;
    let mut lines = earlier.lines();
    let now = (now.parse().ok()?, lines.next()?.parse().ok()?);
    let mut observations = Vec::new();
    for line in lines {
        let (code, feedback) = line.strip_prefix("Earlier : ")?.split_once(" : ")?;
        observations.push((code.parse().ok()?, feedback.parse().ok()?));
    }
    observations.push(now);
    Some(improve(&observations).completion)
}

/// An example: in half of the cases an improvement with up to [`WINDOW`] earlier codes, else a trace through a link or the check.
pub fn example(stream: &mut Stream) -> Example {
    if stream.below(2) == 0 {
        return improvement(stream);
    }
    loop {
        let (code, target) = (Code::known(stream), Code::known(stream));
        let feedback = Feedback::of(code, target).noisy(code, NOISE, stream);
        let Some(link) = Link::ALL.get(stream.below(Link::ALL.len() + 1)) else {
            return trace_check(code, feedback);
        };
        // Of the feedback on the output there is a hidden output, which may be anything.
        if !link.apply(code).is_held_out() {
            let output = link.apply(code);
            return trace(*link, code, Feedback::of(output, target).noisy(output, NOISE, stream));
        }
    }
}

/// A step of a search for a hidden code, some steps on: with or without memory, with or without noise, and in a quarter of the cases with
/// codes that no search would give.
fn improvement(stream: &mut Stream) -> Example {
    loop {
        let target = Code::known(stream);
        let window = stream.below(WINDOW + 1);
        let noise = if stream.below(2) == 0 { 0.0 } else { NOISE };
        let wanders = stream.below(4) == 0;
        let steps = stream.below(7);
        let mut code = Code::known(stream);
        let mut observations = Vec::new();
        for step in 0..=steps {
            observations.push((code, Feedback::of(code, target).noisy(code, noise, stream)));
            let seen = &observations[observations.len().saturating_sub(window + 1)..];
            let next = revised(seen);
            if step == steps && !next.is_held_out() && seen.iter().all(|(code, _)| !code.is_held_out()) {
                return improve(seen);
            }
            code = if wanders { Code::known(stream) } else { next };
        }
    }
}

fn digit(stream: &mut Stream) -> u8 {
    // Below ten.
    stream.below(10) as u8
}

fn drawn(stream: &mut Stream, accepts: impl Fn(Code) -> bool) -> Code {
    loop {
        let code = Code::random(stream);
        if accepts(code) {
            return code;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Words as the tokenizer of the embedded model splits them.
    fn words(text: &str) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        for piece in text.split_whitespace() {
            let mut kind = None;
            for character in piece.chars() {
                let word = character.is_alphanumeric() || character == '_';
                match words.last_mut() {
                    Some(last) if kind == Some(word) => last.push(character),
                    _ => words.push(character.into()),
                }
                kind = Some(word);
            }
        }
        words
    }

    fn examples() -> Vec<Example> {
        let mut stream = Stream::new(5, "test of the corpus");
        (0..4000).map(|_| example(&mut stream)).collect()
    }

    #[test]
    fn examples_are_short_and_of_few_words() {
        let mut vocabulary = BTreeSet::new();
        for Example { prompt, completion } in examples() {
            assert!(words(&prompt).len() <= 120 && words(&completion).len() <= 40, "{prompt}\n{completion}");
            vocabulary.extend(words(&prompt).into_iter().chain(words(&completion)));
        }
        assert!(vocabulary.len() <= 40, "{vocabulary:?}");
    }

    #[test]
    fn every_prompt_has_its_completion() {
        for Example { prompt, completion } in examples() {
            assert_eq!(complete(&prompt), Some(completion), "{prompt}");
        }
        for other in [
            "",
            "Improve code : 1 2",
            "Trace code : twist 1 2 3 gives 1 2 3\nFeedback : x",
            "Say something .",
        ] {
            assert_eq!(complete(other), None, "{other}");
        }
        assert!("first right , second right .".parse::<Feedback>().is_err());
    }

    #[test]
    fn held_out_codes_stand_in_no_example() {
        let mut improvements = 0;
        for Example { prompt, completion } in examples() {
            let text = words(&format!("{prompt}\n{completion}"));
            let mut codes = 0;
            for three in text.windows(DIGITS) {
                if let Ok(code) = three.join(" ").parse::<Code>() {
                    assert!(!code.is_held_out(), "{prompt}\n{completion}");
                    codes += 1;
                }
            }
            assert!(codes >= 1);
            improvements += usize::from(prompt.starts_with("Improve"));
        }
        assert!((1800..2200).contains(&improvements), "{improvements}");
        let mut stream = Stream::new(1, "test of problems");
        for _ in 0..200 {
            let Problem { start, target } = Problem::held_out(&mut stream);
            assert!(start.is_held_out() && target.is_held_out() && start != target);
        }
    }

    #[test]
    fn true_feedback_leads_to_every_hidden_code() {
        for hidden in 0..10 {
            for start in 0..10 {
                let target = Code([hidden; DIGITS]);
                let mut code = Code([start; DIGITS]);
                let mut steps = 0;
                while code != target {
                    code = revised(&[(code, Feedback::of(code, target))]);
                    steps += 1;
                    assert!(steps <= 6, "from {start} to {hidden}");
                }
            }
        }
    }

    #[test]
    fn feedback_on_the_output_becomes_feedback_on_the_input() {
        let mut stream = Stream::new(2, "test of links");
        for link in Link::ALL {
            for _ in 0..300 {
                let (code, target) = (Code::random(&mut stream), Code::random(&mut stream));
                let output = Feedback::of(link.apply(code), link.apply(target));
                assert_eq!(link.back(output), Feedback::of(code, target), "{link:?}");
            }
        }
    }

    #[test]
    fn noise_replaces_its_share() {
        let mut stream = Stream::new(3, "test of noise");
        let mut replaced = 0;
        for _ in 0..2000 {
            let (code, target) = (Code::random(&mut stream), Code::random(&mut stream));
            let truth = Feedback::of(code, target);
            assert_eq!(truth.noisy(code, 0.0, &mut stream), truth);
            let noisy = truth.noisy(code, 0.3, &mut stream);
            replaced += (0..DIGITS).filter(|place| truth.0[*place] != noisy.0[*place]).count();
        }
        // 1800 of 6000 are expected, and the standard deviation is 35.
        assert!((1620..1980).contains(&replaced), "{replaced}");
    }

    #[test]
    fn prompts_are_what_they_are() {
        let now = (Code([3, 7, 1]), "first too high , second right , third far too low .");
        let feedback = Feedback([Level::TooHigh, Level::Right, Level::FarTooLow]);
        assert_eq!(feedback.to_string(), now.1);
        let step = improve(&[(Code([5, 7, 1]), feedback), (now.0, feedback)]);
        assert_eq!(
            step.prompt,
            "Improve code : 3 7 1\nFeedback : first too high , second right , third far too low .\n\
             Earlier : 5 7 1 : first too high , second right , third far too low ."
        );
        assert_eq!(step.completion, "<IMPROVED_VARIABLE> 1 7 6 </IMPROVED_VARIABLE>");
        let back = trace(Link::Reverse, Code([1, 7, 3]), feedback);
        assert_eq!(
            back.prompt,
            "Trace code : reverse 1 7 3 gives 3 7 1\nFeedback : first too high , second right , third far too low ."
        );
        assert_eq!(back.completion, "first far too low , second right , third too high .");
        assert!("3 7".parse::<Code>().is_err() && "3 7 10".parse::<Code>().is_err());
        assert_eq!(" 3 7  1 ".parse(), Ok(now.0));
    }
}
