//! The options of a language model, the same for every method that asks one: where it is, what is kept of its answers, and hard
//! limits.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use backstitch_llm::corpus::Skill;
use backstitch_llm::{
    ApiKey, Budget, Cache, Endpoint, EndpointKind, EndpointOptions, Error, Identity, Limits, Model, Prices,
    Recording, Replay, Reply, Request, Spent, Stored,
};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::in_process;
use super::output::refuse_same;
use crate::failure::Failure;

const MODEL: &str = "Language model";
const KEPT: &str = "What is kept";
const LIMITS: &str = "Limits of this command";

/// The variable that is looked for if none is named.
const KEY_VARIABLE: &str = "BACKSTITCH_API_KEY";

/// Where a language model is, what is kept of its answers, and hard limits.
#[derive(Args, Debug)]
pub(super) struct LanguageModelOptions {
    /// Base address of an OpenAI-compatible server (vLLM, llama.cpp, Ollama, OpenAI), like http://localhost:8000/v1; or a folder with a
    /// GPT-2, Llama or Qwen2 model in the Hugging Face layout; or `embedded`, a small model that comes with backstitch, for trying out
    /// (there are three: embedded-0 to embedded-2)
    #[arg(long, help_heading = MODEL, value_name = "ADDRESS|FOLDER", required_unless_present = "replay")]
    model: Option<String>,
    /// Name of the model on the server
    #[arg(long, help_heading = MODEL, value_name = "NAME")]
    model_name: Option<String>,
    /// Let the model continue a text (/completions) instead of a conversation (/chat/completions): for base models
    #[arg(long, help_heading = MODEL)]
    completions: bool,
    /// Environment variable that holds the key [default: BACKSTITCH_API_KEY, if it is set]
    #[arg(long, help_heading = MODEL, value_name = "NAME")]
    key_variable: Option<String>,
    /// Requests at a time
    #[arg(long, help_heading = MODEL, value_name = "N", default_value_t = 8)]
    concurrency: u32,
    /// Longest time for one request, all attempts together
    #[arg(long, help_heading = MODEL, value_name = "SECONDS", default_value_t = 600.0)]
    #[arg(allow_negative_numbers = true)]
    deadline: f64,

    /// Keep all answers in this file, and ask for none that it holds [default: backstitch/replies.sqlite in XDG_STATE_HOME, else in
    /// ~/.local/state]
    #[arg(long, help_heading = KEPT, value_name = "FILE")]
    cache: Option<PathBuf>,
    /// Keep no answers: an interrupted command begins anew, and pays anew
    #[arg(long, help_heading = KEPT, conflicts_with = "cache")]
    no_cache: bool,
    /// Also write every answer to this file, to be kept with the results; an existing one is extended
    #[arg(long, help_heading = KEPT, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Take all answers from this recording, and ask no server
    #[arg(long, help_heading = KEPT, value_name = "FILE")]
    #[arg(conflicts_with_all = ["cache", "no_cache", "record", "dry_run", "max_requests", "max_cost", "max_seconds"])]
    replay: Option<PathBuf>,

    /// Say what would be asked, and what it would cost; send nothing
    #[arg(long, help_heading = LIMITS)]
    pub(super) dry_run: bool,
    /// Most requests, repeated ones among them
    #[arg(long, help_heading = LIMITS, value_name = "N")]
    max_requests: Option<u64>,
    /// Most cost, in the currency of the prices; a request that may exceed it is not sent
    #[arg(long, help_heading = LIMITS, value_name = "AMOUNT", requires_all = ["price_in", "price_out"])]
    #[arg(allow_negative_numbers = true)]
    max_cost: Option<f64>,
    /// Most time
    #[arg(long, help_heading = LIMITS, value_name = "SECONDS", allow_negative_numbers = true)]
    max_seconds: Option<f64>,
    /// Price of a million tokens read
    #[arg(long, help_heading = LIMITS, value_name = "AMOUNT", requires = "price_out")]
    #[arg(allow_negative_numbers = true)]
    price_in: Option<f64>,
    /// Price of a million tokens written
    #[arg(long, help_heading = LIMITS, value_name = "AMOUNT", requires = "price_in")]
    #[arg(allow_negative_numbers = true)]
    price_out: Option<f64>,
}

/// A model by its address and its name.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) address: Option<&'a str>,
    pub(super) name: Option<&'a str>,
    /// The environment variable of its key.
    pub(super) key_variable: KeyVariable<'a>,
    /// Of the embedded models, what it was trained for.
    pub(super) skill: Skill,
}

/// Where the key of a server is.
#[derive(Clone, Copy)]
pub(super) enum KeyVariable<'a> {
    /// In this variable.
    Named(&'a str),
    /// In the usual variable, if it is set.
    Usual,
    /// Nowhere: the key of one server is not shown to another.
    None,
}

impl LanguageModelOptions {
    /// Whether an embedded model answers: it knows no examples and few words.
    pub(super) fn is_embedded(&self) -> bool {
        self.model.as_deref().and_then(in_process::embedded_seed).is_some()
    }

    /// The model, with what is kept before it; of the embedded models one of this skill. Nothing is sent yet.
    pub(super) fn open(&self, skill: Skill) -> Result<LanguageModel, Failure> {
        Ok(self.open_with(skill, None)?.0)
    }

    /// The model, and another one that shares its limits, its cache and its recording.
    pub(super) fn open_with(
        &self,
        skill: Skill,
        other: Option<Place<'_>>,
    ) -> Result<(LanguageModel, Option<LanguageModel>), Failure> {
        if let Some(file) = &self.replay {
            let play = |place: Place<'_>| -> Result<LanguageModel, Failure> {
                let recording = Recording::open(file).map_err(failure)?;
                let identity = self.recorded_identity(place, file, &recording)?;
                let replay = Replay::new(recording, identity).map_err(failure)?;
                Ok(LanguageModel::new(Box::new(replay), Budget::unlimited().into(), Rc::default()))
            };
            return Ok((play(self.own(skill))?, other.map(play).transpose()?));
        }
        let budget = Arc::new(self.budget()?);
        let cache =
            self.cache_file()?.map(|file| Cache::open(&file).map_err(failure)).transpose()?.map(Arc::new);
        let record = self.record.as_ref();
        let recording =
            record.map(|file| Recording::extend(file).map_err(failure)).transpose()?.map(Arc::new);
        let open = |place: Place<'_>| -> Result<LanguageModel, Failure> {
            let fresh = Rc::default();
            let source = self.source(place, Arc::clone(&budget))?;
            let mut model: Box<dyn Model> = Box::new(Counted { model: source, samples: Rc::clone(&fresh) });
            if let Some(cache) = &cache {
                model = Box::new(Stored::new(model, Arc::clone(cache)));
            }
            if let Some(recording) = &recording {
                model = Box::new(Stored::new(model, Arc::clone(recording)));
            }
            Ok(LanguageModel::new(model, Arc::clone(&budget), fresh))
        };
        Ok((open(self.own(skill))?, other.map(open).transpose()?))
    }

    /// A model that knows what is kept, and answers nothing else: what it notes is what would be sent. It makes no files.
    pub(super) fn rehearse(&self, skill: Skill) -> Result<(LanguageModel, Unsent), Failure> {
        let (model, _, unsent) = self.rehearse_with(skill, None)?;
        Ok((model, unsent))
    }

    /// The same with another model, as for [`open_with`](Self::open_with).
    pub(super) fn rehearse_with(
        &self,
        skill: Skill,
        other: Option<Place<'_>>,
    ) -> Result<(LanguageModel, Option<LanguageModel>, Unsent), Failure> {
        let budget = Arc::new(self.budget()?);
        let unsent = Unsent::default();
        let rehearse = |place: Place<'_>| -> Result<LanguageModel, Failure> {
            let identity = self.source(place, Arc::clone(&budget))?.identity().clone();
            let mut model: Box<dyn Model> = Box::new(Rehearsal { identity, unsent: unsent.clone() });
            if let Some(file) = self.cache_file()?.filter(|file| file.exists()) {
                model = Box::new(Stored::new(model, Cache::open(&file).map_err(failure)?));
            }
            if let Some(file) = self.record.as_ref().filter(|file| file.exists()) {
                model = Box::new(Stored::new(model, Recording::open(file).map_err(failure)?));
            }
            Ok(LanguageModel::new(model, Arc::clone(&budget), Rc::default()))
        };
        Ok((rehearse(self.own(skill))?, other.map(rehearse).transpose()?, unsent))
    }

    /// The address and the name that were given.
    pub(super) fn own(&self, skill: Skill) -> Place<'_> {
        let key_variable = self.key_variable.as_deref().map_or(KeyVariable::Usual, KeyVariable::Named);
        Place { address: self.model.as_deref(), name: self.model_name.as_deref(), key_variable, skill }
    }

    /// The prices, if they were given.
    pub(super) fn prices(&self) -> Option<Prices> {
        self.price_in.zip(self.price_out).map(|(prompt, completion)| Prices { prompt, completion })
    }

    /// Refuses a file for results that is one of those the answers are kept in.
    pub(super) fn refuse_output(&self, out: &Path) -> Result<(), Failure> {
        let cache = if self.replay.is_some() { None } else { self.cache_file()? };
        let files = [("--cache", &cache), ("--record", &self.record), ("--replay", &self.replay)];
        files
            .iter()
            .filter_map(|(option, file)| Some((option, file.as_ref()?)))
            .try_for_each(|(option, file)| refuse_same(out, file, option))
    }

    /// What a limit that was reached says.
    pub(super) fn limit_reached(&self, limit: impl std::fmt::Display) -> Failure {
        let kept = "raise the limit, or run the same command again; what has arrived is kept";
        let lost = "raise the limit; with --no-cache nothing was kept, and the command begins anew";
        Failure::input(limit).hint(if self.no_cache && self.record.is_none() { lost } else { kept })
    }

    fn budget(&self) -> Result<Budget, Failure> {
        let limits = Limits { requests: self.max_requests, cost: self.max_cost, seconds: self.max_seconds };
        Budget::new(limits, self.prices()).map_err(failure)
    }

    /// What answers: a server, or a model in this process.
    fn source(&self, place: Place<'_>, budget: Arc<Budget>) -> Result<Box<dyn Model>, Failure> {
        let name = place.address.unwrap_or_default();
        let Some(model) = in_process::open(name, place.skill, &budget)? else {
            return Ok(Box::new(self.endpoint(place, place.key()?, budget)?));
        };
        let of_server =
            place.name.is_some() || self.completions || matches!(place.key_variable, KeyVariable::Named(_));
        if of_server {
            let message = format!("{name} is a model in this process, and no server is asked");
            return Err(Failure::input(message).hint(
                "leave out --model-name, --completions and --key-variable, or give the address of a server",
            ));
        }
        Ok(model)
    }

    fn endpoint(
        &self,
        place: Place<'_>,
        key: Option<ApiKey>,
        budget: Arc<Budget>,
    ) -> Result<Endpoint, Failure> {
        let address = place.address.unwrap_or_default();
        let Some(name) = place.name else {
            return Err(Failure::input("--model-name is missing: a server may have several models")
                .hint("most servers list the names of their models under /models"));
        };
        let kind = if self.completions { EndpointKind::Completions } else { EndpointKind::Chat };
        let deadline = Duration::try_from_secs_f64(self.deadline).map_err(|_| {
            Failure::input(format!("--deadline is {}, but must be above 0 and at most a day", self.deadline))
        })?;
        let options = EndpointOptions {
            kind,
            concurrency: self.concurrency,
            deadline,
            ..EndpointOptions::new(address, name)
        };
        Endpoint::new(options, key, budget).map_err(failure)
    }

    /// The cache, unless there is to be none.
    fn cache_file(&self) -> Result<Option<PathBuf>, Failure> {
        if self.no_cache { Ok(None) } else { cache_file(self.cache.as_deref()).map(Some) }
    }

    /// Whose answers are played back: those of the model that is named, or of the only one.
    fn recorded_identity(
        &self,
        place: Place<'_>,
        file: &Path,
        recording: &Recording,
    ) -> Result<Option<Identity>, Failure> {
        if place.address.is_some() {
            let budget = Budget::unlimited().into();
            if let Some(model) = in_process::open(place.address.unwrap_or_default(), place.skill, &budget)? {
                return Ok(Some(model.identity().clone()));
            }
            // Nothing is sent, so no key is needed.
            return Ok(Some(self.endpoint(place, None, budget)?.identity().clone()));
        }
        let Some(name) = place.name else { return Ok(None) };
        let all = recording.identities();
        let mut named = all.iter().filter(|identity| identity.model == name);
        match (named.next(), named.next()) {
            (Some(identity), None) => Ok(Some(identity.clone())),
            (None, _) => {
                let names: Vec<&str> = all.iter().map(|identity| identity.model.as_str()).collect();
                let found = if names.is_empty() { "nothing".into() } else { names.join(", ") };
                let message = format!("{} holds no answers of the model {name:?}", file.display());
                Err(Failure::input(message).hint(format!("it holds those of {found}")))
            }
            (Some(_), Some(_)) => {
                let message = format!("{} holds answers of several models named {name:?}", file.display());
                Err(Failure::input(message).hint("name the address too, by --model"))
            }
        }
    }
}

impl Place<'_> {
    /// The key. Errors never hold it: it may have been given in the place of the variable.
    fn key(self) -> Result<Option<ApiKey>, Failure> {
        let variable = match self.key_variable {
            KeyVariable::Named(variable) => variable,
            KeyVariable::Usual => return ApiKey::from_environment(KEY_VARIABLE).map_err(failure),
            KeyVariable::None => return Ok(None),
        };
        let named = variable.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if !named || variable.is_empty() || variable.as_bytes()[0].is_ascii_digit() {
            let message = "--key-variable takes the name of an environment variable (letters, digits, _), not the key itself";
            return Err(Failure::input(message).hint(format!("export {KEY_VARIABLE}=…, and leave it out")));
        }
        match ApiKey::from_environment(variable).map_err(failure)? {
            Some(key) => Ok(Some(key)),
            None => Err(Failure::input(format!("the environment variable {variable} is not set, or empty"))
                .hint("set it to the key, or leave --key-variable out for a server that needs none")),
        }
    }
}

/// Where answers are kept: the given file, or that of the user.
pub(crate) fn cache_file(explicit: Option<&Path>) -> Result<PathBuf, Failure> {
    if let Some(file) = explicit {
        return Ok(file.into());
    }
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    // The XDG specification says to ignore a relative path here.
    let state = absolute("XDG_STATE_HOME")
        .or_else(|| absolute("LOCALAPPDATA").filter(|_| cfg!(windows)))
        .or_else(|| Some(absolute("HOME")?.join(".local").join("state")));
    match state {
        Some(state) => Ok(state.join("backstitch").join("replies.sqlite")),
        None => Err(Failure::input("neither XDG_STATE_HOME nor HOME says where to keep answers")
            .hint("name a file with --cache, or keep none with --no-cache")),
    }
}

/// An error of a model as the user sees it.
pub(crate) fn failure(error: Error) -> Failure {
    let hint = error.hint().map(str::to_owned);
    Failure::input(error).maybe_hint(hint)
}

/// Whether a hard limit ended it: the same command continues.
pub(super) fn is_limit(error: &Error) -> bool {
    matches!(error.root(), Error::Spent { .. })
}

/// Whether a rehearsal ended it: the request would have been sent.
pub(super) fn is_unsent(error: &Error) -> bool {
    matches!(error.root(), Error::Unanswered)
}

/// A model with what is kept before it. It counts, and shows how far a stage is.
pub(super) struct LanguageModel {
    model: Box<dyn Model>,
    budget: Arc<Budget>,
    /// Samples that the server gave now.
    fresh: Rc<Cell<u64>>,
    /// Samples that were handed over.
    delivered: Cell<u64>,
}

impl LanguageModel {
    fn new(model: Box<dyn Model>, budget: Arc<Budget>, fresh: Rc<Cell<u64>>) -> Self {
        Self { model, budget, fresh, delivered: Cell::new(0) }
    }

    /// Samples that were handed over so far, kept or new.
    pub(super) fn delivered(&self) -> u64 {
        self.delivered.get()
    }

    /// What was asked, and what was there.
    pub(super) fn used(&self) -> Used {
        let (delivered, fresh) = (self.delivered.get(), self.fresh.get());
        Used {
            model: self.model.identity().clone(),
            spent: self.budget.spent(),
            samples: delivered,
            kept: delivered.saturating_sub(fresh),
        }
    }
}

impl Model for LanguageModel {
    fn identity(&self) -> &Identity {
        self.model.identity()
    }

    fn answer(&self, requests: &[Request], arrived: &mut dyn FnMut(usize, Result<Reply, Error>)) {
        // Drawn on a terminal only.
        let bar = ProgressBar::new(requests.len() as u64);
        if let Ok(style) = ProgressStyle::with_template("{wide_bar} {pos}/{len} requests {elapsed} ({eta})") {
            bar.set_style(style);
        }
        self.model.answer(requests, &mut |position, outcome| {
            self.delivered.set(self.delivered.get() + samples(&outcome));
            bar.inc(1);
            arrived(position, outcome);
        });
        bar.finish_and_clear();
    }
}

/// What a command has used of a model.
pub(super) struct Used {
    model: Identity,
    spent: Spent,
    samples: u64,
    kept: u64,
}

impl Used {
    pub(super) fn json(&self) -> Value {
        let Spent { requests, usage, cost, uncounted } = self.spent;
        json!({
            "model": self.model,
            "samples": self.samples,
            "kept_samples": self.kept,
            "requests": requests,
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "uncounted_replies": uncounted,
            "cost": cost,
        })
    }

    /// The same with the samples of another model that shares the limits, whose tokens and cost are counted together.
    pub(super) fn with(mut self, other: &Self) -> Self {
        self.samples += other.samples;
        self.kept += other.kept;
        self
    }

    /// One line for people.
    pub(super) fn words(&self) -> String {
        let Spent { requests, usage, cost, uncounted } = self.spent;
        let mut text = format!(
            "{} samples, {} of them kept from before · {requests} requests · {} tokens read, {} written",
            self.samples, self.kept, usage.prompt_tokens, usage.completion_tokens
        );
        if uncounted > 0 {
            text += &format!(" (at most: the server did not count those of {uncounted} replies)");
        }
        if let Some(cost) = cost {
            text += &format!(" · cost {cost:.4}");
        }
        text + "\n"
    }
}

/// Counts the samples that a model gives.
struct Counted<M> {
    model: M,
    samples: Rc<Cell<u64>>,
}

impl<M: Model> Model for Counted<M> {
    fn identity(&self) -> &Identity {
        self.model.identity()
    }

    fn answer(&self, requests: &[Request], arrived: &mut dyn FnMut(usize, Result<Reply, Error>)) {
        self.model.answer(requests, &mut |position, outcome| {
            self.samples.set(self.samples.get() + samples(&outcome));
            arrived(position, outcome);
        });
    }
}

fn samples(outcome: &Result<Reply, Error>) -> u64 {
    match outcome {
        Ok(reply) => reply.samples.len() as u64,
        Err(Error::Incomplete { obtained, .. }) => obtained.samples.len() as u64,
        Err(_) => 0,
    }
}

/// The requests that were not sent, by stage.
#[derive(Clone, Default)]
pub(super) struct Unsent(Rc<RefCell<Vec<Vec<Request>>>>);

impl Unsent {
    /// All of them.
    pub(super) fn all(&self) -> Vec<Request> {
        self.0.borrow().concat()
    }

    /// Those of a stage, counted from 0.
    pub(super) fn stage(&self, stage: usize) -> Vec<Request> {
        self.0.borrow().get(stage).cloned().unwrap_or_default()
    }
}

/// Notes what it is asked, and answers nothing.
struct Rehearsal {
    identity: Identity,
    unsent: Unsent,
}

impl Model for Rehearsal {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn answer(&self, requests: &[Request], arrived: &mut dyn FnMut(usize, Result<Reply, Error>)) {
        self.unsent.0.borrow_mut().push(requests.to_vec());
        for position in 0..requests.len() {
            arrived(position, Err(Error::Unanswered));
        }
    }
}
