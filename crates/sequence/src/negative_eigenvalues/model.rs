//! A trained stack of layers with the names of its tokens and labels.

use std::path::Path;

use backstitch_nn::{
    Adam, LabelBatch, Mixer, OptimizerParameters, Schedule, Shuffled, StepReport, Tracker, TrackerConfig,
    Trainer, TrainingParameters, cpu, read_weights, weights_bytes,
};
use serde::{Deserialize, Serialize};

use super::parameters::Parameters;
use super::sequences::{Labels, Sequence, Vocabulary};
use super::tasks::Example;
use crate::Error;

/// What `model.json` says it is.
pub const SCHEMA: &str = "backstitch/negative-eigenvalues-model/1";
/// Sequences that are predicted at once.
const AT_ONCE: usize = 64;

/// The method with its parameters.
#[derive(Clone, Debug)]
pub struct NegativeEigenvalues {
    parameters: Parameters,
}

/// What training gave.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The model.
    pub model: Model,
    /// Cross-entropy of the last step, in nats.
    pub loss: f64,
}

/// A model that labels sequences.
#[derive(Clone, Debug)]
pub struct Model {
    tracker: Tracker,
    vocabulary: Vocabulary,
    /// Whether only last positions were labelled.
    last_only: bool,
}

/// The label of one position.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// The likeliest label.
    pub label: usize,
    /// Its probability.
    pub probability: f64,
}

impl NegativeEigenvalues {
    /// The method.
    ///
    /// # Errors
    /// If a parameter is out of range.
    pub fn new(parameters: Parameters) -> Result<Self, Error> {
        parameters.validate()?;
        Ok(Self { parameters })
    }

    /// Learns labelled sequences.
    ///
    /// # Errors
    /// If a sequence has no label, all labels are the same, sizes do not fit, or training diverges.
    pub fn fit(&self, sequences: &[Sequence]) -> Result<Fitted, Error> {
        self.fit_watched(sequences, |_| {})
    }

    /// The same; `watch` sees every step.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fit_watched(
        &self,
        sequences: &[Sequence],
        watch: impl FnMut(&StepReport),
    ) -> Result<Fitted, Error> {
        if sequences.is_empty() {
            return Err(Error::data("there are no sequences", "give at least one per label"));
        }
        let vocabulary = Vocabulary::of(sequences)?;
        let examples = sequences.iter().map(|own| vocabulary.encode(own)).collect::<Result<Vec<_>, _>>()?;
        let last_only = sequences.iter().all(|own| matches!(own.labels, Labels::Last(_)));
        let batch = self.parameters.batch.min(examples.len());
        let mut order =
            Shuffled::new(examples.len(), batch, self.parameters.seed, "negative-eigenvalues order")?;
        let draw = |step: u64| order.at(step).into_iter().map(|at| examples[at].clone()).collect();
        let (tracker, loss) = self.train(&vocabulary, draw, watch)?;
        Ok(Fitted { model: Model { tracker, vocabulary, last_only }, loss })
    }

    /// Learns from a source of examples, one batch per step. `draw` must depend on nothing but the step.
    ///
    /// # Errors
    /// If sizes do not fit, or training diverges.
    pub fn fit_drawn(
        &self,
        vocabulary: &Vocabulary,
        draw: impl FnMut(u64) -> Vec<Example>,
        watch: impl FnMut(&StepReport),
    ) -> Result<Fitted, Error> {
        let (tracker, loss) = self.train(vocabulary, draw, watch)?;
        let model = Model { tracker, vocabulary: vocabulary.clone(), last_only: false };
        Ok(Fitted { model, loss })
    }

    /// The network that training begins with, and how it is trained.
    ///
    /// # Errors
    /// If sizes do not fit.
    pub fn trainer(&self, vocabulary: &Vocabulary) -> Result<Trainer<Tracker>, Error> {
        let Parameters { steps, learning_rate, weight_decay, seed, .. } = self.parameters;
        let config = self.parameters.config(vocabulary);
        let network = Tracker::new(&config, seed, &cpu().autodiff())?;
        let adam = Adam { beta2: 0.999, weight_decay, ..Adam::default() };
        let training = TrainingParameters {
            steps,
            learning_rate,
            schedule: Schedule::Linear { warm_up: 0.05, last: 0.01 },
            clip: 1.0,
            optimizer: OptimizerParameters::AdamW(adam),
        };
        Ok(Trainer::new(network, training)?)
    }

    fn train(
        &self,
        vocabulary: &Vocabulary,
        mut draw: impl FnMut(u64) -> Vec<Example>,
        mut watch: impl FnMut(&StepReport),
    ) -> Result<(Tracker, f64), Error> {
        let mut trainer = self.trainer(vocabulary)?;
        let config = *trainer.model().config();
        let mut loss = f64::NAN;
        trainer.run(
            |step| batch_of(&draw(step), &config),
            Tracker::loss,
            |_, report| {
                loss = report.loss;
                watch(report);
                Ok(())
            },
        )?;
        Ok((trainer.into_model(), loss))
    }
}

/// Examples as a batch of a model of this size.
///
/// # Errors
/// If one is empty or does not fit the model.
pub fn batch_of(examples: &[Example], config: &TrackerConfig) -> Result<LabelBatch, backstitch_nn::NnError> {
    LabelBatch::new(examples.iter().map(|own| (&own.tokens[..], &own.labels[..])), config)
}

/// The layers and names of a `model.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    schema: String,
    network: TrackerConfig,
    tokens: Vec<String>,
    labels: Vec<String>,
    last_only: bool,
}

impl Model {
    /// A model of a trained network.
    ///
    /// # Errors
    /// If the names are not as many as the network's tokens and labels.
    pub fn new(tracker: Tracker, vocabulary: Vocabulary) -> Result<Self, Error> {
        let (config, found) = (tracker.config(), [vocabulary.tokens.len(), vocabulary.labels.len()]);
        if found != [config.vocabulary, config.classes] {
            let problem = format!(
                "{} tokens and {} labels for a network of {} and {}",
                found[0], found[1], config.vocabulary, config.classes
            );
            return Err(Error::data(problem, "give the names that the network was trained with"));
        }
        Ok(Self { tracker, vocabulary, last_only: false })
    }

    /// The network.
    pub fn tracker(&self) -> &Tracker {
        &self.tracker
    }

    /// Names of tokens and labels.
    pub fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// Whether only last positions were labelled when it was trained.
    pub fn last_only(&self) -> bool {
        self.last_only
    }

    /// The label of every position of every example; labels that are there are not looked at.
    ///
    /// # Errors
    /// If an example is empty or has a token that the model does not know.
    pub fn predict(&self, examples: &[Example]) -> Result<Vec<Vec<Prediction>>, Error> {
        let (config, mut out) = (self.tracker.config(), Vec::with_capacity(examples.len()));
        for some in examples.chunks(AT_ONCE) {
            let batch = batch_of(some, config)?;
            let logits = self.tracker.logits(&batch);
            for (row, example) in some.iter().enumerate() {
                let own = &logits[row * batch.length() * config.classes..];
                let each = own.chunks_exact(config.classes).take(example.tokens.len());
                out.push(each.map(decide).collect());
            }
        }
        Ok(out)
    }

    /// The share of labelled positions that are labelled right; nothing if there are none.
    ///
    /// # Errors
    /// As [`predict`](Self::predict).
    pub fn accuracy(&self, examples: &[Example]) -> Result<Option<f64>, Error> {
        let (mut right, mut all) = (0_usize, 0_usize);
        for (example, predicted) in examples.iter().zip(self.predict(examples)?) {
            for (label, prediction) in example.labels.iter().zip(predicted) {
                if let Some(label) = *label {
                    all += 1;
                    right += usize::from(label as usize == prediction.label);
                }
            }
        }
        Ok((all > 0).then(|| right as f64 / all as f64))
    }

    /// The files of a model folder, by name. Equal models give equal bytes.
    ///
    /// # Errors
    /// If the weights cannot be laid out.
    pub fn files(&self) -> Result<Vec<(&'static str, Vec<u8>)>, Error> {
        let description = Description {
            schema: SCHEMA.into(),
            network: *self.tracker.config(),
            tokens: self.vocabulary.tokens.clone(),
            labels: self.vocabulary.labels.clone(),
            last_only: self.last_only,
        };
        let text = serde_json::to_string_pretty(&description)
            .map_err(|error| Error::data(error.to_string(), "report this"))?;
        Ok(vec![
            ("model.json", (text + "\n").into_bytes()),
            ("model.safetensors", weights_bytes(&self.tracker)?),
        ])
    }

    /// Reads a model folder.
    ///
    /// # Errors
    /// Names the file, and what is wrong with it.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join("model.json");
        let unusable = |file: &Path, problem: String| Error::File {
            file: file.into(),
            problem,
            way_out: "give a folder that `backstitch run negative-eigenvalues fit` has written".into(),
        };
        let text = std::fs::read_to_string(&path).map_err(|error| unusable(&path, error.to_string()))?;
        let description: Description =
            serde_json::from_str(&text).map_err(|error| unusable(&path, error.to_string()))?;
        let Description { schema, network, tokens, labels, last_only } = description;
        if schema != SCHEMA {
            return Err(unusable(&path, format!("its schema is {schema:?}, but must be {SCHEMA:?}")));
        }
        if [tokens.len(), labels.len()] != [network.vocabulary, network.classes] {
            return Err(unusable(&path, "its names do not fit its network".into()));
        }
        network.validate().map_err(|error| unusable(&path, error.to_string()))?;
        let path = folder.join("model.safetensors");
        let bytes = std::fs::read(&path).map_err(|error| unusable(&path, error.to_string()))?;
        let tracker = Tracker::new(&network, 0, &cpu())?;
        let tracker = read_weights(tracker, &bytes).map_err(|problem| unusable(&path, problem))?;
        Ok(Self { tracker, vocabulary: Vocabulary { tokens, labels }, last_only })
    }

    /// What mixes the positions.
    pub fn mixer(&self) -> Mixer {
        self.tracker.config().mixer
    }
}

/// The likeliest label of logits.
pub(super) fn decide(logits: &[f32]) -> Prediction {
    let mut label = 0;
    for (at, logit) in logits.iter().enumerate() {
        if *logit > logits[label] {
            label = at;
        }
    }
    let total: f64 = logits.iter().map(|logit| f64::from(logit - logits[label]).exp()).sum();
    Prediction { label, probability: 1.0 / total }
}
