//! Word problems of one or two steps, forward (what is the answer?) and backward (the answer is known; what was the masked number?):
//! the skill that [FOBAR](https://arxiv.org/abs/2308.07758) needs of a model.
//!
//! Each of twelve templates is a chain `first op second` or `(first op second) op third` over +, − and ×, with numbers from 2 to 30 and all
//! values from 0 to 99. The solutions go step by step; backward they undo the steps from the last to the masked number.

use backstitch_numerics::Stream;

use super::Example;

/// Largest number of a question.
const LARGEST: u32 = 30;

/// Every other template is learned with numbers up to this one only; with larger ones it is held out.
const NARROW: u32 = 20;

/// Largest value of any step.
const LARGEST_VALUE: u32 = 99;

/// One in so many combinations of template and numbers is held out.
const HELD_OUT_SHARE: u64 = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operation {
    Add,
    Subtract,
    Multiply,
}

use Operation::{Add, Multiply, Subtract};

/// A text with the slots `{a}`, `{b}`, `{c}`, `{name}` and `{things}`, and the operations between its numbers, in order.
struct Template {
    text: &'static str,
    operations: &'static [Operation],
}

const TEMPLATES: [Template; 12] = [
    Template {
        text: "{name} has {a} {things} and buys {b} more. How many {things} does {name} have now?",
        operations: &[Add],
    },
    Template {
        text: "{name} has {a} {things} and gives {b} away. How many {things} are left?",
        operations: &[Subtract],
    },
    Template {
        text: "There are {a} boxes with {b} {things} each. How many {things} are there?",
        operations: &[Multiply],
    },
    Template {
        text: "{name} has {a} {things}, buys {b} more and loses {c}. How many {things} are left?",
        operations: &[Add, Subtract],
    },
    Template {
        text: "A bus has {a} riders. At a stop {b} get off and {c} get on. How many riders are there now?",
        operations: &[Subtract, Add],
    },
    Template {
        text: "{name} has {a} boxes with {b} {things} each and buys {c} more {things}. How many {things} does {name} have now?",
        operations: &[Multiply, Add],
    },
    Template {
        text: "There are {a} boxes with {b} {things} each. Then {name} loses {c}. How many {things} are left?",
        operations: &[Multiply, Subtract],
    },
    Template {
        text: "A shop has {a} {things}. It sells {b} today and {c} later. How many {things} are left?",
        operations: &[Subtract, Subtract],
    },
    Template {
        text: "{name} has {a} {things}, then buys {b} and later {c} more. How many {things} does {name} have now?",
        operations: &[Add, Add],
    },
    Template {
        text: "Each box has {a} red and {b} blue {things}. There are {c} boxes. How many {things} are there?",
        operations: &[Add, Multiply],
    },
    Template {
        text: "Each box had {a} {things} and then {name} gives {b} of each box away. There are {c} boxes. How many {things} are left?",
        operations: &[Subtract, Multiply],
    },
    Template {
        text: "A shop has {a} shelves with {b} boxes each, and each box has {c} {things}. How many {things} are there?",
        operations: &[Multiply, Multiply],
    },
];

const NAMES: [&str; 6] = ["Ann", "Ben", "Eva", "Max", "Mia", "Tom"];
const THINGS: [&str; 6] = ["apples", "books", "cards", "coins", "pens", "stones"];

/// A word problem whose answer is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    template: usize,
    /// Its numbers, in the order in which they stand in the text.
    pub numbers: Vec<u32>,
    /// Values of the steps; the last one is the answer.
    values: Vec<u32>,
    name: &'static str,
    things: &'static str,
}

impl Problem {
    /// A problem of the training, or a held-out one.
    fn draw(stream: &mut Stream, held_out: bool) -> Self {
        loop {
            let template = stream.below(TEMPLATES.len());
            let operations = TEMPLATES[template].operations;
            let count = LARGEST as usize - 1;
            let numbers: Vec<u32> = (0..=operations.len()).map(|_| 2 + stream.below(count) as u32).collect();
            let Some(values) = values(operations, &numbers) else { continue };
            if is_held_out(template, &numbers) == held_out {
                let (name, things) = (NAMES[stream.below(NAMES.len())], THINGS[stream.below(THINGS.len())]);
                return Self { template, numbers, values, name, things };
            }
        }
    }

    /// Its answer.
    pub fn answer(&self) -> u32 {
        self.values.last().copied().unwrap_or_default()
    }

    /// Its text.
    pub fn text(&self) -> String {
        self.text_with(&self.numbers.iter().map(u32::to_string).collect::<Vec<_>>())
    }

    /// Its text with one of its numbers, counted from 0, replaced.
    fn masked(&self, unknown: usize) -> String {
        let number =
            |place: usize, number: &u32| if place == unknown { "x".into() } else { number.to_string() };
        let numbers = self.numbers.iter().enumerate();
        self.text_with(&numbers.map(|(place, value)| number(place, value)).collect::<Vec<_>>())
    }

    fn text_with(&self, numbers: &[String]) -> String {
        let mut text =
            TEMPLATES[self.template].text.replace("{name}", self.name).replace("{things}", self.things);
        for (slot, number) in ["{a}", "{b}", "{c}"].iter().zip(numbers) {
            text = text.replace(slot, number);
        }
        text
    }

    /// The question, to be answered.
    pub fn forward(&self) -> Example {
        let operations = TEMPLATES[self.template].operations;
        let mut left = self.numbers[0];
        let mut steps = String::new();
        for ((&operation, &right), &value) in operations.iter().zip(&self.numbers[1..]).zip(&self.values) {
            steps += &equation(left, operation.sign(), right, value);
            left = value;
        }
        Example {
            prompt: format!("Question: {}\nA:", self.text()),
            completion: format!("{steps} The answer is {}.", self.answer()),
        }
    }

    /// The question with one of its numbers, counted from 0, masked, and its answer.
    pub fn backward(&self, unknown: usize) -> Example {
        let operations = TEMPLATES[self.template].operations;
        // The step in which the unknown stands; what comes before is computed, what comes after is undone.
        let step = unknown.saturating_sub(1);
        let mut steps = String::new();
        let mut target = self.answer();
        for later in (step + 1..operations.len()).rev() {
            let right = self.numbers[later + 1];
            let (inverse, value) = (operations[later].inverse(), self.values[later - 1]);
            steps += &equation(target, inverse, right, value);
            target = value;
        }
        let operation = operations[step];
        if unknown == 0 {
            steps += &equation(target, operation.inverse(), self.numbers[1], self.numbers[0]);
        } else {
            let mut left = self.numbers[0];
            if step > 0 {
                steps += &equation(left, operations[0].sign(), self.numbers[1], self.values[0]);
                left = self.values[0];
            }
            // left op x = target
            let value = self.numbers[unknown];
            steps += &match operation {
                Subtract => equation(left, '-', target, value),
                _ => equation(target, operation.inverse(), left, value),
            };
        }
        Example {
            prompt: format!(
                "Question: {}\nThe answer of this question is {}. What is the value of the unknown x?\nA:",
                self.masked(unknown),
                self.answer()
            ),
            completion: format!("{steps} The value of x is {}.", self.numbers[unknown]),
        }
    }
}

impl Operation {
    fn sign(self) -> char {
        match self {
            Add => '+',
            Subtract => '-',
            Multiply => '*',
        }
    }

    /// The sign of what undoes it on its left side.
    fn inverse(self) -> char {
        match self {
            Add => '-',
            Subtract => '+',
            Multiply => '/',
        }
    }
}

fn equation(left: u32, sign: char, right: u32, value: u32) -> String {
    format!(" {left} {sign} {right} = {value}.")
}

/// The values of the steps, if all are in range.
fn values(operations: &[Operation], numbers: &[u32]) -> Option<Vec<u32>> {
    let mut left = numbers[0];
    let mut values = Vec::with_capacity(operations.len());
    for (operation, &right) in operations.iter().zip(&numbers[1..]) {
        left = match operation {
            Add => left + right,
            Subtract => left.checked_sub(right)?,
            Multiply => left * right,
        };
        values.push(left);
    }
    values.iter().all(|&value| value <= LARGEST_VALUE).then_some(values)
}

/// Whether a combination is never learned: some by their numbers, and those of every other template with a large number.
fn is_held_out(template: usize, numbers: &[u32]) -> bool {
    let narrow = template.is_multiple_of(2) && numbers.iter().any(|&number| number > NARROW);
    let digest = numbers.iter().fold(template as u64 + 1, |digest, &number| {
        // A fixed mixture of bits; any would do.
        (digest ^ u64::from(number)).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29)
    });
    narrow || digest.is_multiple_of(HELD_OUT_SHARE)
}

/// An example of the training: half of them forward, half backward.
pub fn example(stream: &mut Stream) -> Example {
    let problem = Problem::draw(stream, false);
    if stream.below(2) == 0 {
        problem.forward()
    } else {
        let unknown = stream.below(problem.numbers.len());
        problem.backward(unknown)
    }
}

/// A problem that is no example.
pub fn held_out(stream: &mut Stream) -> Problem {
    Problem::draw(stream, true)
}
