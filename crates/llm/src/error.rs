//! What can go wrong. Every message carries the name, the value, the allowed range or what was found; [`Error::hint`] a way out.

use std::path::PathBuf;

use crate::key::Key;
use crate::reply::Reply;

/// An error of a language model, its endpoint, its cache or its recording. No message holds a key.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter outside its range.
    #[error("{name} is {value}, but must be {allowed}; {way_out}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// The value found.
        value: String,
        /// The allowed range.
        allowed: String,
        /// What to do about it.
        way_out: &'static str,
    },
    /// The key in an environment variable cannot be used. Its value is not shown.
    #[error("the key in the environment variable {variable} {problem}")]
    ApiKey {
        /// Name of the variable.
        variable: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// No connection, or it broke in every attempt.
    #[error("{url} could not be reached: {reason} ({})", times(*attempts))]
    Unreachable {
        /// The address.
        url: String,
        /// What went wrong in the last attempt.
        reason: String,
        /// Attempts made.
        attempts: u32,
        /// Whether another attempt would meet the same: a refused connection, an unknown host, a bad certificate.
        permanent: bool,
    },
    /// The time for one request ran out.
    #[error("{url} gave no whole answer within {seconds} s ({}{})", times(*attempts), after(last))]
    Deadline {
        /// The address.
        url: String,
        /// The time there was, all attempts together.
        seconds: f64,
        /// Attempts made.
        attempts: u32,
        /// What went wrong in the attempt before, if there was one.
        last: Option<String>,
    },
    /// The server refused the request, or failed in every attempt.
    #[error("{url} answered with status {status}: {message} ({})", times(*attempts))]
    Status {
        /// The address.
        url: String,
        /// The status.
        status: u16,
        /// What the server says.
        message: String,
        /// Attempts made.
        attempts: u32,
    },
    /// The key is missing, unknown or not allowed to do this.
    #[error("{url} did not accept the key (status {status}): {message}")]
    Unauthorised {
        /// The address.
        url: String,
        /// 401 or 403.
        status: u16,
        /// What the server says.
        message: String,
    },
    /// The account has nothing left.
    #[error("{url} has no quota left for this key: {message}")]
    Quota {
        /// The address.
        url: String,
        /// What the server says.
        message: String,
    },
    /// What answers there is something else.
    #[error("{url} is not an endpoint of a language model: {found}")]
    NotAnEndpoint {
        /// The address.
        url: String,
        /// What came back.
        found: String,
    },
    /// Success was reported, but the answer cannot be used.
    #[error("{url} gave an answer that cannot be used: {problem} ({})", times(*attempts))]
    Unusable {
        /// The address.
        url: String,
        /// What is wrong with it.
        problem: String,
        /// Attempts made.
        attempts: u32,
    },
    /// The answer is larger than allowed.
    #[error("{url} gave an answer of more than {limit} bytes")]
    TooLarge {
        /// The address.
        url: String,
        /// The limit.
        limit: u64,
    },
    /// The prompt does not fit.
    #[error("{url} says that the prompt and the reply do not fit into the context of the model: {message}")]
    PromptTooLong {
        /// The address, or the name of a model in process.
        url: String,
        /// What the server says.
        message: String,
    },
    /// A model in process cannot be asked this.
    #[error("the model {model} cannot read the prompt: {problem}")]
    Unreadable {
        /// Its name.
        model: String,
        /// What is wrong.
        problem: String,
    },
    /// A folder is not a model.
    #[error("no model can be read from the folder {}: {problem}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// The file, and what is wrong with it.
        problem: String,
    },
    /// Log-probabilities were asked for and did not come.
    #[error("endpoint {url} returned no token logprobs, which were asked for")]
    NoLogProbabilities {
        /// The address.
        url: String,
    },
    /// A hard limit of the budget is reached.
    #[error("the limit of {limit} is reached: {spent}")]
    Spent {
        /// The limit, with its value.
        limit: String,
        /// What has been spent.
        spent: String,
    },
    /// Some samples came, and then one of the other errors.
    #[error("{} of {wanted} samples were obtained, then: {reason}", obtained.samples.len())]
    Incomplete {
        /// The samples that came, with the first indices of the request.
        obtained: Box<Reply>,
        /// Samples asked for.
        wanted: u32,
        /// Why the others did not come.
        reason: Box<Error>,
    },
    /// The cache cannot be read or written.
    #[error("the cache {}: {problem}", file.display())]
    Cache {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A recording cannot be read or written.
    #[error("the recording {}{}: {problem}", file.display(), line.map(|line| format!(", line {line}")).unwrap_or_default())]
    Recording {
        /// The file.
        file: PathBuf,
        /// The line, counted from 1, where it is one line's fault.
        line: Option<usize>,
        /// What is wrong.
        problem: String,
    },
    /// A recording lacks what was asked.
    #[error("the recording {} has no sample {sample} of the request {key}; {nearest}", file.display())]
    NotRecorded {
        /// The file.
        file: PathBuf,
        /// The key that was asked.
        key: Key,
        /// The sample that was asked.
        sample: u32,
        /// The nearest key that is there, and in what it differs.
        nearest: String,
    },
    /// A model handed over no outcome for a request.
    #[error("the model gave neither a reply nor an error; this is a fault of backstitch")]
    Unanswered,
}

impl Error {
    /// A way out, where there is one.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Parameter { .. } | Self::Unanswered => None,
            Self::ApiKey { .. } => Some("set the variable to the key alone, without spaces or line ends"),
            Self::Unreachable { .. } => Some("check that the server runs, and its address and port"),
            Self::Deadline { .. } => Some(
                "allow more time per request, fewer tokens, or less concurrency; what has arrived is kept",
            ),
            Self::Status { status: 429 | 500.., .. } => Some(
                "run the same command again later, perhaps with less concurrency; what has arrived is kept",
            ),
            Self::Status { status: 300..400, .. } => {
                Some("give the address it points to as the base address")
            }
            Self::Status { .. } => {
                Some("check the name of the model and the parameters; the server names what it refuses")
            }
            Self::Unauthorised { .. } => {
                Some("put a valid key into the environment variable that the command names")
            }
            Self::Quota { .. } => {
                Some("add to the account or use another endpoint; what has arrived is kept")
            }
            Self::NotAnEndpoint { .. } => {
                Some("give the base address of an OpenAI-compatible server; it usually ends in /v1")
            }
            Self::Unusable { .. } => Some("the server does not keep to the interface; check its version"),
            Self::TooLarge { .. } => {
                Some("ask for fewer samples, tokens or alternatives, or raise the limit")
            }
            Self::PromptTooLong { .. } => {
                Some("shorten the prompt, use fewer demonstrations, or a model with a longer context")
            }
            Self::Unreadable { .. } => Some(
                "the embedded models know a few hundred words; use a folder with a larger model, or a server",
            ),
            Self::Folder { .. } => Some(
                "give a Hugging Face folder of a GPT-2, Llama or Qwen2 model, with config.json, model.safetensors and tokenizer.json",
            ),
            Self::NoLogProbabilities { .. } => Some(
                "use vLLM or llama.cpp, or choose agreement confidence, which uses sampled agreement instead",
            ),
            Self::Spent { .. } => {
                Some("raise the limit and run the same command again; what has arrived is kept")
            }
            Self::Incomplete { reason, .. } => reason.hint(),
            Self::Cache { .. } => Some("check the path and its permissions, or name another file"),
            Self::Recording { .. } => Some("check the file, or record it anew"),
            Self::NotRecorded { .. } => Some(
                "replay with the parameters of the recording, or record what is missing from an endpoint",
            ),
        }
    }

    /// Why the rest of an incomplete reply did not come; every other error itself.
    pub fn root(&self) -> &Self {
        match self {
            Self::Incomplete { reason, .. } => reason.root(),
            error => error,
        }
    }

    /// Whether every other request would fail for the same reason.
    pub(crate) fn concerns_all(&self) -> bool {
        match self {
            // 403 may concern what one prompt asks.
            Self::Unauthorised { status, .. } => *status == 401,
            Self::Quota { .. } | Self::NotAnEndpoint { .. } | Self::Spent { .. } => true,
            Self::Unreachable { permanent, .. } => *permanent,
            // An unknown model, or another address.
            Self::Status { status, .. } => *status == 404 || (300..400).contains(status),
            Self::Incomplete { reason, .. } => reason.concerns_all(),
            _ => false,
        }
    }
}

fn times(count: u32) -> String {
    if count == 1 { "1 attempt".into() } else { format!("{count} attempts") }
}

fn after(last: &Option<String>) -> String {
    last.as_ref().map(|last| format!("; before: {last}")).unwrap_or_default()
}
