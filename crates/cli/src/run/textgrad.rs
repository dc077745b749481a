//! `backstitch run textgrad`: a solution, a prompt or a program in, a better one out.

mod report;
mod session;
mod tests;

use std::path::{Path, PathBuf};

use backstitch_llm::answer::Kind;
use backstitch_llm::corpus::Skill;
use backstitch_llm::question::{Question, read_questions};
use backstitch_reason::Error;
use backstitch_reason::textgrad::jobs::{CodeJob, Descent, Draft, Engines, PromptJob, SolutionJob};
use backstitch_reason::textgrad::{Parameters, Prompts};
use clap::{Args, Subcommand, ValueEnum};

use super::answers;
use super::language_model::{KeyVariable, LanguageModelOptions, Place};
use crate::arguments::Common;
use crate::failure::Failure;
use report::{Report, SolutionLine};
use session::Session;
use tests::TestCommand;

/// What is to be improved.
#[derive(Args, Debug)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct Textgrad {
    #[command(subcommand)]
    job: Job,
}

#[derive(Debug, Subcommand)]
enum Job {
    /// A text, or the answers to questions, by what a critic says of it
    Solution(Box<Solution>),
    /// The system prompt of a model, over training questions with known answers
    Prompt(Box<Prompt>),
    /// A program, by what its tests print
    Code(Box<Code>),
}

const DESCENT: &str = "Steps";
const CRITIC: &str = "Critic";

/// What all jobs share.
#[derive(Args, Debug)]
struct Shared {
    /// File for the best text [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// File for all that happened: every text, evaluation, feedback and update, JSON Lines
    #[arg(long, value_name = "FILE")]
    transcript: Option<PathBuf>,
    /// Updates [default: 3 for a solution, 12 for a prompt, 5 for a program]
    #[arg(long, help_heading = DESCENT, value_name = "N")]
    steps: Option<u32>,
    /// A constraint in words that new texts have to meet; may be given several times
    #[arg(long = "constraint", help_heading = DESCENT, value_name = "SENTENCE")]
    constraints: Vec<String>,
    /// An example to go by; may be given several times
    #[arg(long = "example", help_heading = DESCENT, value_name = "TEXT")]
    examples: Vec<String>,
    /// Show so many earlier texts, with the feedback on each
    #[arg(long, help_heading = DESCENT, value_name = "N", default_value_t = 0)]
    momentum: usize,
    /// Show so many earlier feedbacks, without the texts
    #[arg(long, help_heading = DESCENT, value_name = "N", default_value_t = 0)]
    gradient_memory: usize,
    /// Temperature of all requests
    #[arg(long, help_heading = DESCENT, value_name = "T", allow_negative_numbers = true, default_value_t = 0.0)]
    temperature: f64,
    /// Most tokens of a reply
    #[arg(long, help_heading = DESCENT, value_name = "N", default_value_t = 2000)]
    max_tokens: u32,
    /// Show only so many first and last words of the text that is to be improved (the official code shows 10) [default: all]
    #[arg(long, help_heading = DESCENT, value_name = "N")]
    excerpt: Option<usize>,
    /// Most characters of conversations shown beside feedback; the oldest are left out first
    #[arg(long, help_heading = DESCENT, value_name = "N")]
    most_context: Option<usize>,
    /// Templates of the requests: JSON with any of the fields that the documentation of the library names [default: built-in ones]
    #[arg(long, help_heading = DESCENT, value_name = "FILE")]
    prompts: Option<PathBuf>,
    /// Another server for evaluations in words, feedback and new texts [default: that of --model]
    #[arg(long, help_heading = CRITIC, value_name = "ADDRESS", requires = "backward_model_name")]
    backward_model: Option<String>,
    /// Name of the model there, or of another model of the same server
    #[arg(long, help_heading = CRITIC, value_name = "NAME")]
    backward_model_name: Option<String>,
    /// Environment variable that holds the key of --backward-model; the key of --model is not sent there
    #[arg(long, help_heading = CRITIC, value_name = "NAME", requires = "backward_model")]
    backward_key_variable: Option<String>,
    #[command(flatten)]
    model: LanguageModelOptions,
}

/// Improve a text or the answers to questions.
#[derive(Args, Debug)]
#[command(
    after_help = "Three calls per text and step: evaluation, feedback, new text. With --data every question is answered first, all questions \
take each step together, and the answer is the vote over the first answer and all updates (the paper's recipe: 3 steps, 4 votes). Look at \
both accuracies: a vote over samples without any feedback, `run fobar --alpha 1`, is the fair comparison.

Without --scored the last text is written; with it the critic gives numbers, and the text with the highest is. Exit code 1: some reply \
could not be used, and its text stayed as it was. A limit or Ctrl-C ends with 130, and the same command continues from what is kept."
)]
struct Solution {
    /// The text to improve
    #[arg(long, value_name = "FILE", required_unless_present = "data", conflicts_with = "data")]
    text: Option<PathBuf>,
    /// What the text answers: it is shown to the critic
    #[arg(long, value_name = "FILE", requires = "text")]
    task: Option<PathBuf>,
    /// Questions to answer: JSON Lines {"id": "…", "question": "…"} with, if known, "answer" and, for a multiple choice, "options"
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,
    /// What the answers are; questions with options are multiple choices in any case
    #[arg(long, value_enum, default_value_t = AnswerName::Number, requires = "data")]
    answer: AnswerName,
    /// What the critic is told: "Find errors in this proof.", say
    #[arg(long, value_name = "SENTENCE", required_unless_present_any = ["data", "task"], default_value = "")]
    instruction: String,
    /// What the text is: "abstract of a paper", say
    #[arg(long, value_name = "WORDS", default_value = "solution to the task")]
    role: String,
    /// Let the critic give numbers, and write the text with the highest
    #[arg(long)]
    scored: bool,
    #[command(flatten)]
    shared: Shared,
}

/// Improve a system prompt.
#[derive(Args, Debug)]
#[command(
    after_help = "Per step with B questions: B answers, 2 B feedbacks, one new prompt, and one answer per validation question. A new prompt whose \
validation score is below the best so far is put back. The test questions are asked once, in the end, with the first and the last prompt.

Replies of --model are judged by a program: the right answer has to be found in them. Exit code 1: some reply could not be used. A limit \
or Ctrl-C ends with 130, and the same command continues from what is kept."
)]
struct Prompt {
    /// The prompt to begin with
    #[arg(long, value_name = "FILE")]
    prompt: PathBuf,
    /// Training questions: JSON Lines {"id": "…", "question": "…", "answer": "…"}, with "options" for a multiple choice
    #[arg(long, value_name = "FILE")]
    train: PathBuf,
    /// Validation questions, in the same form; a prompt that does worse on them is put back
    #[arg(long, value_name = "FILE")]
    validation: Option<PathBuf>,
    /// Test questions, in the same form, asked in the end only
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// What the answers are; questions with options are multiple choices in any case
    #[arg(long, value_enum, default_value_t = AnswerName::Number)]
    answer: AnswerName,
    /// Training questions per step
    #[arg(long, value_name = "N", default_value_t = 3)]
    batch: usize,
    /// Let the critic merge the feedback of a batch into one before the prompt is rewritten
    #[arg(long)]
    merge: bool,
    #[command(flatten)]
    shared: Shared,
}

/// Improve a program.
#[derive(Args, Debug)]
#[command(
    after_help = "The test command runs programs that a language model wrote, with your rights: run it in a container if you do not trust the model. \
It runs in the current folder, by the shell; {} stands for the file of the program, which is a temporary one. It passes with exit code 0; \
what it prints goes to the critic.

Exit code 0: the tests pass. Exit code 1: they do not after all steps, and the last program is written. Output that changes from run to run, \
like times, makes requests that are not kept from before: keep it out of the test command."
)]
struct Code {
    /// The program to improve
    #[arg(long, value_name = "FILE")]
    program: PathBuf,
    /// Command that tests a program, with {} for its file: "python3 -m unittest {}", say
    #[arg(long, value_name = "COMMAND")]
    test_command: String,
    /// Longest time for the tests
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0, allow_negative_numbers = true)]
    test_seconds: f64,
    /// What the program is to do: it is shown to the critic
    #[arg(long, value_name = "FILE")]
    task: Option<PathBuf>,
    #[command(flatten)]
    shared: Shared,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum AnswerName {
    /// A number
    Number,
    /// Yes or no
    YesNo,
    /// A text
    Text,
}

impl AnswerName {
    fn kind(self) -> Kind {
        match self {
            Self::Number => Kind::Number,
            Self::YesNo => Kind::YesNo,
            Self::Text => Kind::Text,
        }
    }
}

pub(crate) fn execute(arguments: &Textgrad, common: &Common) -> Result<i32, Failure> {
    match &arguments.job {
        Job::Solution(solution) => solution.execute(common),
        Job::Prompt(prompt) => prompt.execute(common),
        Job::Code(code) => code.execute(common),
    }
}

impl Solution {
    fn execute(&self, common: &Common) -> Result<i32, Failure> {
        let shared = &self.shared;
        let job = SolutionJob {
            descent: shared.descent(3)?,
            role: self.role.clone(),
            instruction: self.instruction.clone(),
            scored: self.scored,
        };
        let (drafts, questions) = self.drafts()?;
        let inputs = [
            ("--text", self.text.as_deref()),
            ("--task", self.task.as_deref()),
            ("--data", self.data.as_deref()),
        ];
        let session = Session::new(shared, &inputs, Prompts::bare, common)?;
        let Some((all, calls)) =
            session.run(job.most_calls(&drafts), |engines| job.improve(engines, &drafts))?
        else {
            return Ok(session.end());
        };
        if let ([improved], None) = (all.as_slice(), &self.data) {
            let report = Report::of_text(improved, calls, session.used());
            return session.write(improved.text().to_owned(), &all, &report);
        }
        let lines: Vec<SolutionLine> = all
            .iter()
            .zip(&questions)
            .map(|(improved, question)| SolutionLine::new(improved, question))
            .collect();
        let report = Report::of_questions(&all, &lines, calls, session.used());
        session.write(report::json_lines(&lines)?, &all, &report)
    }

    fn drafts(&self) -> Result<(Vec<Draft>, Vec<Question>), Failure> {
        if let Some(file) = &self.data {
            let questions = questions(file, self.answer)?;
            let drafts = questions
                .iter()
                .map(|question| Draft {
                    id: Some(question.id.clone()),
                    task: Some(backstitch_reason::with_options(question)),
                    text: None,
                })
                .collect();
            return Ok((drafts, questions));
        }
        let text = self.text.as_deref().map(read_text).transpose()?;
        let task = self.task.as_deref().map(read_text).transpose()?;
        Ok((vec![Draft { id: None, task, text }], Vec::new()))
    }
}

impl Prompt {
    fn execute(&self, common: &Common) -> Result<i32, Failure> {
        let shared = &self.shared;
        let job = PromptJob {
            descent: shared.descent(12)?,
            batch: self.batch,
            merge: self.merge,
            seed: common.seed,
        };
        let first = read_text(&self.prompt)?;
        let read = |file: &Option<PathBuf>| match file {
            Some(file) => questions(file, self.answer),
            None => Ok(Vec::new()),
        };
        let training = questions(&self.train, self.answer)?;
        let (validation, test) = (read(&self.validation)?, read(&self.test)?);
        self.refuse_shared(&training, &validation, &test)?;
        let inputs = [
            ("--prompt", Some(self.prompt.as_path())),
            ("--train", Some(&self.train)),
            ("--validation", self.validation.as_deref()),
            ("--test", self.test.as_deref()),
        ];
        let session = Session::new(shared, &inputs, Prompts::bare, common)?;
        let most = job.most_calls(validation.len(), test.len());
        let run = |engines: Engines<'_, '_>| job.improve(engines, &first, &training, &validation, &test);
        let Some((improved, calls)) = session.run(most, run)? else { return Ok(session.end()) };
        let report = Report::of_prompt(&improved, calls, session.used());
        session.write(improved.prompt.text().to_owned(), std::slice::from_ref(&improved.prompt), &report)
    }

    /// Says where questions stand in two files: a score on known questions means little.
    fn refuse_shared(
        &self,
        training: &[Question],
        validation: &[Question],
        test: &[Question],
    ) -> Result<(), Failure> {
        let pairs = [
            ("--train", training, "--validation", validation),
            ("--train", training, "--test", test),
            ("--validation", validation, "--test", test),
        ];
        for (one, first, other, second) in pairs {
            if let Some(known) =
                second.iter().find(|question| first.iter().any(|known| known.text == question.text))
            {
                let message = format!("question {:?} of {other} stands in {one} too", known.id);
                return Err(
                    Failure::input(message).hint("take disjoint questions, or the score means nothing")
                );
            }
        }
        Ok(())
    }
}

impl Code {
    fn execute(&self, common: &Common) -> Result<i32, Failure> {
        let task = self.task.as_deref().map(read_text).transpose()?;
        let job = CodeJob { descent: self.shared.descent(5)?, task };
        let program = read_text(&self.program)?;
        let mut tests = TestCommand::new(&self.test_command, self.test_seconds, &self.program)?;
        if self.shared.model.is_embedded() {
            // It knows few words, and none of these.
            tests = tests.printing_all();
        }
        let inputs = [("--program", Some(self.program.as_path())), ("--task", self.task.as_deref())];
        let session = Session::new(&self.shared, &inputs, bare_of_codes, common)?;
        let run = |engines: Engines<'_, '_>| {
            job.improve(engines.critic, &program, &mut |program| tests.run(program))
        };
        let Some((improved, calls)) = session.run(job.most_calls(), run)? else { return Ok(session.end()) };
        let report = Report::of_program(&improved, calls, session.used());
        session.write(improved.text().to_owned(), std::slice::from_ref(&improved), &report)
    }
}

impl Shared {
    fn descent(&self, steps: u32) -> Result<Descent, Failure> {
        let descent = Descent {
            steps: self.steps.unwrap_or(steps),
            constraints: self.constraints.clone(),
            examples: self.examples.clone(),
            momentum: self.momentum,
            gradient_memory: self.gradient_memory,
        };
        descent.validate().map_err(failure)?;
        Ok(descent)
    }

    fn parameters(&self, common: &Common) -> Result<Parameters, Failure> {
        let parameters = Parameters {
            temperature: self.temperature,
            max_tokens: self.max_tokens,
            seed: Some(common.seed).filter(|seed| *seed != 0),
            excerpt_words: self.excerpt,
            most_context: self.most_context,
            ..Parameters::default()
        };
        parameters.validate().map_err(failure)?;
        Ok(parameters)
    }

    /// Templates of requests; `bare` are those for an embedded model.
    fn templates(&self, bare: fn() -> Prompts) -> Result<Prompts, Failure> {
        let form = "give an object of texts, like {\"backward\": \"… {conversation} … {objective} …\"}";
        let prompts = answers::prompts(self.prompts.as_deref(), form, &self.model, bare)?;
        prompts.validate().map_err(failure)?;
        Ok(prompts)
    }

    /// The other model, if one is named.
    fn other(&self) -> Option<Place<'_>> {
        let name = self.backward_model_name.as_deref()?;
        let own = self.model.own(Skill::Feedback);
        Some(match &self.backward_model {
            None => Place { name: Some(name), ..own },
            Some(address) => {
                let key_variable =
                    self.backward_key_variable.as_deref().map_or(KeyVariable::None, KeyVariable::Named);
                Place { address: Some(address), name: Some(name), key_variable, ..own }
            }
        })
    }
}

fn questions(file: &Path, answer: AnswerName) -> Result<Vec<Question>, Failure> {
    read_questions(file, answer.kind()).map_err(|error| {
        Failure::input(error)
            .hint("write one {\"id\": \"…\", \"question\": \"…\", \"answer\": \"…\"} per line")
    })
}

/// What an embedded model reads of programs and tests: to it they are codes and their checks.
fn bare_of_codes() -> Prompts {
    let bare = Prompts::bare();
    Prompts {
        backward: bare.backward.replace("{role}", "code"),
        function: bare.function.replace("{purpose}", "check"),
        optimizer: bare.optimizer.replace("{role}", "code"),
        ..bare
    }
}

/// The text of a file, without line ends behind it.
fn read_text(file: &Path) -> Result<String, Failure> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::input(format!("{}: {error}", file.display())))?;
    if text.trim().is_empty() {
        return Err(Failure::input(format!("{}: the file is empty", file.display()))
            .hint("give a file with the text"));
    }
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

fn failure(error: Error) -> Failure {
    let hint = error.hint().map(str::to_owned);
    Failure::input(error).maybe_hint(hint)
}
