//! Small decoders trained on sentences, and any decoder asked for facts: what reversal-curse and spt share.
//!
//! A [`Course`] holds the tokenizer, the shape of the decoder and the order of examples; whoever trains asks it for the batch of a
//! step. [`Course::learn`] is the whole loop for those who need no checkpoints in between. A [`Witness`] asks a decoder, trained here
//! or read from a folder, and [`Witness::evaluate`] asks it all questions of [`crate::reversal_curse`].

use backstitch_nn::{
    Checkpoint, Decoder, DecoderConfig, NnError, SamplingParameters, Scorer, Shuffled, TokenBatch, Tokenizer,
    Trainer, TrainingParameters, UNKNOWN, cpu, generate,
};
use backstitch_numerics::Stream;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::facts::{Direction, Fact, FactSet, Record};
use crate::reversal_curse::{Evaluation, Parameters, Score, evaluate};

/// The word after every sentence.
pub const END: &str = "[END]";

/// Which tokens are learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LossOn {
    /// All of a sentence.
    #[default]
    Everything,
    /// The completion only.
    Completion,
}

/// How a small decoder of the GPT-2 shape is trained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FitParameters {
    /// Width of the residual stream; a multiple of `heads`.
    pub width: usize,
    /// Blocks.
    pub layers: usize,
    /// Attention heads.
    pub heads: usize,
    /// Sentences per step.
    pub batch: usize,
    /// Steps.
    pub steps: u64,
    /// Peak learning rate; it rises over 5 % of the steps and falls along a cosine to 10 %.
    pub learning_rate: f64,
    /// Which tokens are learned.
    pub loss: LossOn,
    /// Seed of the initial weights and of the order of sentences.
    pub seed: u64,
}

impl Default for FitParameters {
    fn default() -> Self {
        Self {
            width: 64,
            layers: 2,
            heads: 4,
            batch: 32,
            steps: 1500,
            learning_rate: 2e-3,
            loss: LossOn::Everything,
            seed: 0,
        }
    }
}

impl FitParameters {
    /// Checks every field that the network floor does not check itself.
    ///
    /// # Errors
    /// [`Error::Parameter`].
    pub fn validate(&self) -> Result<(), Error> {
        for (name, value, most) in [
            ("width", self.width as u64, 4096),
            ("layers", self.layers as u64, 64),
            ("heads", self.heads as u64, 64),
            ("batch", self.batch as u64, 65_536),
            ("steps", self.steps, 100_000_000),
        ] {
            if value == 0 || value > most {
                return Err(Error::Parameter {
                    name,
                    value: value.to_string(),
                    allowed: format!("from 1 to {most}"),
                    way_out: "leave it out for the default",
                });
            }
        }
        if !self.width.is_multiple_of(self.heads) {
            return Err(Error::Parameter {
                name: "width",
                value: self.width.to_string(),
                allowed: format!("a multiple of the {} heads", self.heads),
                way_out: "change one of the two",
            });
        }
        Ok(())
    }
}

/// One example as the decoder sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lesson {
    /// Its tokens, [`END`] last.
    pub tokens: Vec<u32>,
    /// Position of the first token that is learned, at least 1.
    pub first_target: usize,
}

/// Tokenizer, shape and order of a training.
#[derive(Clone, Debug)]
pub struct Course {
    tokenizer: Tokenizer,
    config: DecoderConfig,
    parameters: FitParameters,
    shuffled: Shuffled,
}

impl Course {
    /// A course over `examples` examples. Its words are those of `texts`; a sequence may be as long as `sentences` times the
    /// longest of them.
    ///
    /// # Errors
    /// [`Error::Parameter`]; [`Error::Network`] without texts or examples.
    pub fn new<T: AsRef<str>>(
        texts: &[T],
        examples: usize,
        sentences: usize,
        parameters: FitParameters,
    ) -> Result<Self, Error> {
        parameters.validate()?;
        let tokenizer = Tokenizer::words(texts, &[END])?;
        let mut longest = 1;
        for text in texts {
            longest = longest.max(tokenizer.encode(text.as_ref())?.len() + 1);
        }
        let FitParameters { width, layers, heads, batch, seed, .. } = parameters;
        let context = longest * sentences.max(1);
        let config = DecoderConfig::gpt2(tokenizer.size(), context, width, layers, heads);
        let shuffled = Shuffled::new(examples, batch, seed, "language lessons")?;
        Ok(Self { tokenizer, config, parameters, shuffled })
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// The shape of the decoder.
    pub fn config(&self) -> &DecoderConfig {
        &self.config
    }

    /// A sentence as a lesson.
    ///
    /// # Errors
    /// If it has no words.
    pub fn lesson(&self, prompt: &str, completion: &str) -> Result<Lesson, NnError> {
        let before = self.tokenizer.encode_more(prompt)?;
        let first_target = match self.parameters.loss {
            LossOn::Everything => 1,
            LossOn::Completion => before.len().max(1),
        };
        let mut tokens = before;
        tokens.extend(self.tokenizer.encode_more(completion)?);
        if tokens.is_empty() {
            return Err(NnError::Empty { what: format!("the text {:?}", format!("{prompt}{completion}")) });
        }
        tokens.extend(self.tokenizer.token(END));
        Ok(Lesson { tokens, first_target })
    }

    /// An untrained decoder, ready for training.
    ///
    /// # Errors
    /// [`Error::Network`].
    pub fn trainer(&self) -> Result<Trainer<Decoder>, Error> {
        let model = Decoder::new(&self.config, self.parameters.seed, &cpu().autodiff())?;
        let FitParameters { steps, learning_rate, .. } = self.parameters;
        let parameters = TrainingParameters { steps, learning_rate, ..TrainingParameters::default() };
        Ok(Trainer::new(model, parameters)?)
    }

    /// The examples of a step, counted from 1.
    pub fn examples(&mut self, step: u64) -> Vec<usize> {
        self.shuffled.at(step)
    }

    /// Lessons as a batch.
    ///
    /// # Errors
    /// If a lesson is longer than the decoder's context.
    pub fn batch(&self, lessons: &[Lesson]) -> Result<TokenBatch, NnError> {
        let sequences: Vec<&[u32]> = lessons.iter().map(|lesson| lesson.tokens.as_slice()).collect();
        let first: Vec<usize> = lessons.iter().map(|lesson| lesson.first_target).collect();
        TokenBatch::from(&sequences, &first, &self.config)
    }

    /// Lessons as a batch for denoising: every token but a lesson's first is hidden with probability `share`, and at least one of
    /// each lesson is.
    ///
    /// # Errors
    /// If a lesson is longer than the decoder's context.
    pub fn denoising_batch(
        &self,
        lessons: &[Lesson],
        share: f64,
        stream: &mut Stream,
    ) -> Result<TokenBatch, NnError> {
        let sequences: Vec<&[u32]> = lessons.iter().map(|lesson| lesson.tokens.as_slice()).collect();
        let mut hide = |tokens: &[u32]| {
            let mut hidden: Vec<bool> = tokens.iter().map(|_| stream.uniform() < share).collect();
            hidden[0] = false;
            if !hidden.contains(&true) && tokens.len() > 1 {
                hidden[1 + stream.below(tokens.len() - 1)] = true;
            }
            hidden
        };
        let hidden: Vec<Vec<bool>> = sequences.iter().map(|tokens| hide(tokens)).collect();
        let mask = self.tokenizer.token(UNKNOWN).unwrap_or_default();
        TokenBatch::denoising(&sequences, &hidden, mask, &self.config)
    }

    /// Trains from the first step to the last; `lesson(step, place in the batch, example)` gives the examples, and must depend on
    /// nothing else.
    ///
    /// # Errors
    /// [`Error::Network`], also if training diverges.
    pub fn learn(
        mut self,
        mut lesson: impl FnMut(&Self, u64, usize, usize) -> Result<Lesson, NnError>,
    ) -> Result<Learned, Error> {
        let mut trainer = self.trainer()?;
        let (mut tokens, mut loss) = (0, f64::NAN);
        let batch = |step: u64| {
            let examples = self.examples(step);
            let lessons: Result<Vec<Lesson>, NnError> = examples
                .iter()
                .enumerate()
                .map(|(place, &example)| lesson(&self, step, place, example))
                .collect();
            let batch = self.batch(&lessons?)?;
            tokens += batch.targets_count() as u64;
            Ok(batch)
        };
        trainer.run(
            batch,
            |model, batch| model.loss(batch),
            |_, report| {
                loss = report.loss;
                Ok(())
            },
        )?;
        Ok(Learned { checkpoint: self.checkpoint(trainer.into_model()), tokens, loss })
    }

    /// A trained decoder with the tokenizer of the course.
    pub fn checkpoint(&self, model: Decoder) -> Checkpoint {
        Checkpoint { model, tokenizer: Some(self.tokenizer.clone()) }
    }
}

/// What [`Course::learn`] gives.
#[derive(Clone, Debug)]
pub struct Learned {
    /// The decoder with its tokenizer.
    pub checkpoint: Checkpoint,
    /// Tokens learned, over all steps.
    pub tokens: u64,
    /// Loss of the last step, in nats per token.
    pub loss: f64,
}

/// Asks a decoder for facts.
#[derive(Debug)]
pub struct Witness<'a> {
    model: &'a Decoder,
    tokenizer: &'a Tokenizer,
    scorer: Scorer,
    /// Every target of every fact with its tokens.
    targets: Vec<(Vec<u32>, &'a str)>,
}

impl<'a> Witness<'a> {
    /// A decoder with its tokenizer, to be asked about these facts.
    ///
    /// # Errors
    /// [`Error::NoTokenizer`]; [`Error::UnknownWords`] if the tokenizer lacks a word of a fact.
    pub fn new(checkpoint: &'a Checkpoint, facts: &'a [Fact]) -> Result<Self, Error> {
        let tokenizer = checkpoint.tokenizer.as_ref().ok_or(Error::NoTokenizer)?;
        let scorer = Scorer::new(&checkpoint.model);
        let mut witness = Self { model: &checkpoint.model, tokenizer, scorer, targets: Vec::new() };
        for fact in facts {
            for direction in Direction::BOTH {
                let target = fact.target(direction);
                let tokens = witness.known(tokenizer.encode_more(&format!(" {target}"))?, target)?;
                witness.targets.push((tokens, target));
            }
        }
        Ok(witness)
    }

    /// Greedy completions. One that starts with a target's tokens is given as the target is written, because word-level tokenizers
    /// do not remember white space around marks.
    ///
    /// # Errors
    /// [`Error::UnknownWords`], [`Error::Network`].
    pub fn complete(&self, prompts: &[String]) -> Result<Vec<String>, Error> {
        let prompts: Result<Vec<Vec<u32>>, Error> =
            prompts.iter().map(|prompt| self.prompt(prompt)).collect();
        let longest = self.targets.iter().map(|(tokens, _)| tokens.len()).max().unwrap_or(1);
        let stop = self.tokenizer.token(END).map(|end| vec![end]).into_iter().collect();
        let parameters = SamplingParameters { max_tokens: longest + 1, stop, ..SamplingParameters::greedy() };
        let completions = generate(self.model, &prompts?, &parameters)?;
        completions
            .iter()
            .map(|completion| {
                let starting =
                    self.targets.iter().filter(|(tokens, _)| completion.tokens.starts_with(tokens));
                match starting.max_by_key(|(tokens, _)| tokens.len()) {
                    Some((_, target)) => Ok((*target).to_owned()),
                    None => Ok(self.tokenizer.decode(&completion.tokens)?),
                }
            })
            .collect()
    }

    /// log p(candidate | prompt) of each candidate.
    ///
    /// # Errors
    /// [`Error::UnknownWords`], [`Error::Network`].
    pub fn score(&self, prompt: &str, candidates: &[String]) -> Result<Vec<Score>, Error> {
        let before = self.prompt(prompt)?;
        let plain = self.tokenizer.encode_more(prompt)?;
        let mut continuations = Vec::with_capacity(candidates.len());
        for candidate in candidates {
            let whole = self.tokenizer.encode_more(&format!("{prompt}{candidate}"))?;
            // Where prompt and candidate share a token, the candidate is read alone.
            let tokens = match whole.strip_prefix(plain.as_slice()) {
                Some(rest) if !rest.is_empty() => rest.to_vec(),
                _ => self.tokenizer.encode_more(candidate)?,
            };
            continuations.push(self.known(tokens, candidate)?);
        }
        let scores = self.scorer.score(&before, &continuations)?;
        // Single precision can round a sum of probabilities above one.
        let score = |score: &backstitch_nn::Score| Score {
            log_probability: score.total().min(0.0),
            tokens: score.tokens.len(),
        };
        Ok(scores.iter().map(score).collect())
    }

    /// Asks all questions; see [`crate::reversal_curse::evaluate`].
    ///
    /// # Errors
    /// As that function, and as [`Witness::complete`] and [`Witness::score`].
    pub fn evaluate(
        &self,
        set: &FactSet,
        questions: &[Record],
        parameters: &Parameters,
    ) -> Result<Evaluation, Error> {
        evaluate(
            set,
            questions,
            parameters,
            |prompts| self.complete(prompts),
            |prompt, candidates| self.score(prompt, candidates),
        )
    }

    /// A prompt with the special tokens that the tokenizer puts before a text, and without those that it puts after it.
    fn prompt(&self, prompt: &str) -> Result<Vec<u32>, Error> {
        let plain = self.known(self.tokenizer.encode_more(prompt)?, prompt)?;
        let mut whole = self.tokenizer.encode(prompt)?;
        if let Some(start) = whole.windows(plain.len().max(1)).position(|window| window == plain.as_slice()) {
            whole.truncate(start + plain.len());
            return Ok(whole);
        }
        Ok(plain)
    }

    fn known(&self, tokens: Vec<u32>, text: &str) -> Result<Vec<u32>, Error> {
        match self.tokenizer.token("[UNK]") {
            Some(unknown) if tokens.contains(&unknown) => Err(Error::UnknownWords { text: text.into() }),
            _ => Ok(tokens),
        }
    }
}
