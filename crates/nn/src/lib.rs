//! The network floor of backstitch: seeded, resumable training of sequence models on burn.
//!
//! Everything a wing needs to train and to ask a network stands here: layers and models ([`Decoder`], [`Encoder`],
//! [`Lstm`], [`Gru`], [`Mlp`]), tokenizers, seeded batches, the training loop ([`Trainer`]), sampling with a key–value cache
//! ([`generate`]), scoring ([`Scorer`]) and checkpoints in the Hugging Face layout ([`Checkpoint`]).
//!
//! Models and training code have no backend parameter: a [`Device`] picks the CPU or a GPU at run time. Initial weights,
//! batches and samples come from [`Stream`](backstitch_numerics::Stream)s keyed by a seed and a purpose, never from
//! the process-wide generator of burn, so that the same seed gives the same bytes at any number of threads.
//!
//! ```
//! use backstitch_nn::{Decoder, DecoderConfig, SamplingParameters, TokenBatch, Trainer, TrainingParameters, cpu, generate};
//!
//! // Learn to count up: 0 1 2 3 …, 1 2 3 4 …
//! let sequences: Vec<Vec<u32>> = (0..4).map(|first| (first..first + 6).collect()).collect();
//! let config = DecoderConfig::gpt2(12, 8, 16, 1, 2);
//! let model = Decoder::new(&config, 7, &cpu().autodiff())?;
//! let parameters = TrainingParameters { steps: 60, learning_rate: 1e-2, ..TrainingParameters::default() };
//! let mut trainer = Trainer::new(model, parameters)?;
//! let batch = TokenBatch::whole(&sequences, &config)?;
//! trainer.run(|_step| Ok(batch.clone()), |model, batch| model.loss(batch), |_trainer, _report| Ok(()))?;
//!
//! let model = trainer.into_model();
//! let replies = generate(&model, &[vec![0, 1]], &SamplingParameters { max_tokens: 3, ..SamplingParameters::greedy() })?;
//! assert_eq!(replies[0].tokens, [2, 3, 4]);
//! # Ok::<(), backstitch_nn::NnError>(())
//! ```

mod allocator;
mod attention;
mod batch;
mod checkpoint;
mod decoder;
mod encoder;
mod error;
mod gradients;
mod layers;
mod linear_recurrent;
mod mlp;
mod optimizer;
mod recurrent;
mod sample;
mod schedule;
mod score;
mod tensors;
mod tokenizer;
mod tracker;
mod train;

pub use allocator::{MiMalloc, keep_freed_memory};
pub use attention::{Attention, Cache, Visibility};
pub use batch::{Shuffled, TokenBatch};
pub use checkpoint::{Checkpoint, Place, Precision, read_weights, weights_bytes};
pub use decoder::{Activation, BlockPass, Decoder, DecoderConfig, Feed, Norm, Positions, RotaryScaling};
pub use encoder::Encoder;
pub use error::NnError;
pub use layers::{Embedding, Linear, Normalization};
pub use linear_recurrent::{Delta, Diagonal, Eigenvalues, KEY_EPSILON, ShortConvolution};
pub use mlp::Mlp;
pub use optimizer::{Adam, Optimizer, OptimizerParameters};
pub use recurrent::{Gru, Lstm};
pub use sample::{Generation, SamplingParameters, Stop, generate, generate_many};
pub use schedule::Schedule;
pub use score::{Score, Scorer};
pub use tensors::{NamedTensor, named_parameters, with_parameters, with_some_parameters};
pub use tokenizer::{Tokenizer, UNKNOWN};
pub use tracker::{LabelBatch, Mixer, Tracker, TrackerBlock, TrackerConfig};
pub use train::{StepReport, Trainer, TrainingParameters};

pub use backstitch_kernels::operations::cross_entropy;
pub use burn::module::{Module, Param};
pub use burn::tensor::{Bool, Device, Int, Tensor, TensorData, activation};

/// The CPU, on burn's pure-Rust backend. Call [`Device::autodiff`] on it for training.
pub fn cpu() -> Device {
    Device::flex()
}

/// The first GPU, through CUDA, which is loaded when first used.
#[cfg(feature = "cuda")]
pub fn cuda() -> Device {
    Device::cuda(0_usize)
}
