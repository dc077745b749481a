//! A model in this process: a checkpoint in the Hugging Face layout, on the CPU.

mod conversation;
mod embedded;
mod text;
pub mod training;

use std::path::Path;
use std::sync::Arc;

use backstitch_data::hash::{sha256_of_bytes, sha256_of_file};
use backstitch_nn::{
    Checkpoint, Decoder, Generation, SamplingParameters, Stop, Tokenizer, cpu, generate_many,
};
use backstitch_numerics::Stream;

use crate::budget::{Budget, most_tokens};
use crate::error::Error;
use crate::key::{Identity, Key};
use crate::model::Model;
use crate::reply::{Alternative, FinishReason, Reply, Sample, Token, Usage};
use crate::request::{Prompt, Request};

pub use embedded::{EMBEDDED_SEEDS, embedded_files};

use conversation::Conversation;
use text::Text;

/// Samples that are drawn together.
const SAMPLES_AT_ONCE: u32 = 64;

/// A decoder with its tokenizer, asked in this process.
///
/// A conversation is written as the template of the model says; a model without a template is a base model and continues the texts of
/// the conversation, parted by empty lines. Every sample has a stream of its own, keyed by the whole request, its index and the seed: the
/// same request has the same samples, whatever else is asked. Log-probabilities are those of the model itself, at temperature 1.
#[derive(Debug)]
pub struct InProcess {
    identity: Identity,
    model: Decoder,
    tokenizer: Tokenizer,
    conversation: Conversation,
    /// Whether a word that the tokenizer does not know is refused. Models of published families know every byte.
    closed_vocabulary: bool,
    budget: Arc<Budget>,
}

/// A request, ready to be worked on.
struct Prepared {
    position: usize,
    tokens: Vec<u32>,
}

impl InProcess {
    /// Reads a folder with `config.json`, `model.safetensors` and `tokenizer.json` of the families GPT-2, Llama and Qwen2. The chat template
    /// and the tokens that end a reply are taken from `chat_template.jinja`, `tokenizer_config.json` and `generation_config.json`, as far as
    /// they are there.
    ///
    /// # Errors
    /// [`Error::Folder`] names the file and what is wrong with it.
    pub fn read(folder: &Path, budget: Arc<Budget>) -> Result<Self, Error> {
        let refuse = |problem: String| Error::Folder { folder: folder.into(), problem };
        let checkpoint = Checkpoint::read(folder, &cpu()).map_err(|error| refuse(error.to_string()))?;
        let conversation = Conversation::read(folder).map_err(refuse)?;
        // What is in a folder tells which model it is, wherever the folder is: its samples and what a cache holds of it go with it.
        let mut parts = std::fs::read_dir(folder)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>, _>>())
            .map_err(|error| refuse(error.to_string()))?;
        parts.retain(|file| {
            ["safetensors", "json", "jinja"]
                .iter()
                .any(|kind| file.extension().is_some_and(|found| found == *kind))
        });
        parts.sort();
        let mut hashes = String::new();
        for part in &parts {
            hashes +=
                &sha256_of_file(part).map_err(|error| refuse(format!("{}: {error}", part.display())))?;
        }
        let name = kind(folder).map_err(refuse)?;
        Self::new(checkpoint, conversation, &name, &sha256_of_bytes(hashes.as_bytes()), budget)
            .map_err(refuse)
    }

    /// A model from its parts. `hash` is that of everything its replies depend on.
    fn new(
        checkpoint: Checkpoint,
        conversation: Conversation,
        name: &str,
        hash: &str,
        budget: Arc<Budget>,
    ) -> Result<Self, String> {
        let tokenizer = checkpoint.tokenizer.ok_or("the file tokenizer.json is missing")?;
        let model = format!("{name}@{}", &hash[..16]);
        Ok(Self {
            identity: Identity { kind: "in-process".into(), place: String::new(), model },
            model: checkpoint.model,
            closed_vocabulary: tokenizer.token(backstitch_nn::UNKNOWN).is_some(),
            tokenizer,
            conversation,
            budget,
        })
    }

    /// The decoder.
    pub fn decoder(&self) -> &Decoder {
        &self.model
    }

    /// Its tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The tokens the model reads of a request.
    fn prompt(&self, request: &Request) -> Result<Vec<u32>, Error> {
        let unreadable = |problem| Error::Unreadable { model: self.identity.model.clone(), problem };
        let tokens = match (&request.prompt, self.conversation.template()) {
            (Prompt::Messages(messages), Some(template)) => {
                let text = template.write(request.system.as_deref(), messages).map_err(unreadable)?;
                // The template has written the special tokens already.
                self.tokenizer.encode_more(&text)
            }
            _ => self.tokenizer.encode(&request.text_pieces().collect::<Vec<_>>().join("\n\n")),
        };
        let tokens = tokens.map_err(|error| unreadable(error.to_string()))?;
        if self.closed_vocabulary
            && let Some(word) = text::unknown_word(&self.tokenizer, request.text_pieces())
        {
            return Err(unreadable(format!("it does not know the word {word:?}")));
        }
        let context = self.model.config().context;
        if tokens.len() >= context {
            let message = format!("the prompt has {} tokens, the context {context}", tokens.len());
            return Err(Error::PromptTooLong { url: self.identity.model.clone(), message });
        }
        Ok(tokens)
    }

    /// Samples for requests that differ in prompt, seed, number and index of samples only: for the first of them, as many as the limits
    /// let pass before it is known what these take.
    fn draw(&self, requests: &[Request], prepared: &[Prepared]) -> Result<Vec<Reply>, Error> {
        let Some(first) = prepared.first().map(|prepared| &requests[prepared.position]) else {
            return Ok(Vec::new());
        };
        let mut admissions = vec![self.budget.admit(most_tokens(first))?];
        for prepared in &prepared[1..] {
            // What a limit stops here is told when its turn comes.
            match self.budget.admit_now(most_tokens(&requests[prepared.position])) {
                Ok(Some(admission)) => admissions.push(admission),
                Ok(None) | Err(_) => break,
            }
        }
        let prepared = &prepared[..admissions.len()];
        let parameters = SamplingParameters {
            max_tokens: first.max_tokens as usize,
            temperature: first.temperature,
            top_p: first.top_p,
            stop: self.conversation.ends().iter().map(|&token| vec![token]).collect(),
            alternatives: first.log_probabilities.unwrap_or(0) as usize,
            ..SamplingParameters::greedy()
        };
        let prompts: Vec<Vec<u32>> = prepared.iter().map(|prepared| prepared.tokens.clone()).collect();
        let streams = prepared.iter().map(|prepared| self.streams(&requests[prepared.position])).collect();
        let ended = |tokens: &[u32]| text::ends(&self.tokenizer, tokens, &first.stop);
        let samples =
            generate_many(&self.model, &prompts, streams, &parameters, &ended).map_err(|error| {
                Error::Unreadable { model: self.identity.model.clone(), problem: error.to_string() }
            })?;
        let replies =
            samples.into_iter().zip(prepared).zip(admissions).map(|((samples, prepared), admission)| {
                let written = samples.iter().map(|sample| sample.tokens.len() as u64).sum();
                let usage = Usage { prompt_tokens: prepared.tokens.len() as u64, completion_tokens: written };
                let usage = admission.count(Some(usage), usage);
                let request = &requests[prepared.position];
                let samples =
                    samples.into_iter().map(|generation| self.sample(generation, request)).collect();
                Reply { samples, usage, stored: 0 }
            });
        Ok(replies.collect())
    }

    /// A stream per sample of a request.
    fn streams(&self, request: &Request) -> Vec<Stream> {
        let key = Key::of(&self.identity, request);
        (request.first_sample..request.first_sample + request.samples)
            .map(|index| Stream::new(request.seed.unwrap_or(0), &format!("{key} {index}")))
            .collect()
    }

    fn sample(&self, mut generation: Generation, request: &Request) -> Sample {
        if generation.tokens.last().is_some_and(|token| self.conversation.ends().contains(token)) {
            generation.tokens.pop();
        }
        let mut text = Text::of(&self.tokenizer, &generation.tokens);
        text.cut_before(&request.stop);
        let alternative = |&(token, log_probability): &(u32, f64)| Alternative {
            bytes: text::word(&self.tokenizer, token),
            log_probability,
        };
        let tokens = text.pieces.iter().enumerate().map(|(place, piece)| Token {
            bytes: piece.clone().into_bytes(),
            log_probability: generation.log_probabilities[place],
            alternatives: generation.alternatives.get(place).into_iter().flatten().map(alternative).collect(),
        });
        Sample {
            tokens: request.log_probabilities.map(|_| tokens.collect()),
            finish: match generation.stop {
                Stop::Sequence => FinishReason::Stop,
                Stop::Length | Stop::Context => FinishReason::Length,
            },
            text: text.pieces.concat(),
        }
    }
}

impl Model for InProcess {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn answer(&self, requests: &[Request], arrived: &mut dyn FnMut(usize, Result<Reply, Error>)) {
        let mut prepared = Vec::new();
        for (position, request) in requests.iter().enumerate() {
            match request.validate().and_then(|()| self.prompt(request)) {
                Ok(tokens) => prepared.push(Prepared { position, tokens }),
                Err(error) => arrived(position, Err(error)),
            }
        }
        // Prompts of equal length need no padding; requests that are sampled alike are worked on together.
        prepared.sort_by_key(|prepared| {
            (alike(&requests[prepared.position]), prepared.tokens.len(), prepared.position)
        });
        let mut exhausted: Option<Error> = None;
        while !prepared.is_empty() {
            let first = alike(&requests[prepared[0].position]);
            let mut samples = 0;
            let count = prepared.iter().take_while(|prepared| {
                let request = &requests[prepared.position];
                let fits = samples == 0 || samples + request.samples <= SAMPLES_AT_ONCE;
                samples += request.samples;
                fits && alike(request) == first
            });
            let count = count.count();
            let outcome = exhausted.clone().map_or_else(|| self.draw(requests, &prepared[..count]), Err);
            match outcome {
                Ok(replies) => {
                    let done = prepared.drain(..replies.len());
                    for (prepared, reply) in done.zip(replies) {
                        arrived(prepared.position, Ok(reply));
                    }
                }
                Err(error) => {
                    for prepared in prepared.drain(..count) {
                        arrived(prepared.position, Err(error.clone()));
                    }
                    exhausted = Some(error).filter(Error::concerns_all);
                }
            }
        }
    }
}

/// The family that the configuration of a model names.
fn kind(folder: &Path) -> Result<String, String> {
    #[derive(serde::Deserialize)]
    struct Configuration {
        model_type: String,
    }
    let text = std::fs::read(folder.join("config.json")).map_err(|error| format!("config.json: {error}"))?;
    let configuration: Configuration =
        serde_json::from_slice(&text).map_err(|error| format!("config.json: {error}"))?;
    Ok(configuration.model_type)
}

/// What requests must share to be sampled together. Floats are compared by their bits.
fn alike(request: &Request) -> (u64, u64, u32, Vec<String>, Option<u32>) {
    let Request { temperature, top_p, max_tokens, stop, log_probabilities, .. } = request;
    (temperature.to_bits(), top_p.to_bits(), *max_tokens, stop.clone(), *log_probabilities)
}
