//! Negative eigenvalues: linear recurrences that follow a state.
//!
//! # What it computes
//! A stack of layers that labels every position of a sequence of tokens, `embedding → layers × [x + mix(norm(x)), x + feed(norm(x))] → norm →
//! head`, where `mix` is a linear recurrence over the positions:
//!
//! - *delta*: `S_t = S_{t−1} (I − β_t k_t k_tᵀ) + β_t v_t k_tᵀ` and `o_t = S_t q_t / √d`, with keys and queries of length 1 and width `d`, one `S` `[d, d]` per
//!   head. The factor has the eigenvalues 1 and `1 − β_t`. A token may take `n` such steps, which makes its factor a product of `n`.
//! - *diagonal*: `H_t = A_t ∘ H_{t−1} + δ_t B_t u_t`, `y_t = C_t · H_t + D u_t`, with `A_t = exp(−δ_t eʷ)`, a state `[width, states]`.
//!
//! As first published both have eigenvalues in [0, 1]. With *signed* eigenvalues, `β = 2 σ(…)` instead of `σ(…)` and `2 A_t − 1` instead of `A_t`, they
//! lie in [−1, 1]: a factor can then swap or turn over what the state holds, and not only forget it. That is what parity needs. The cost
//! is the same.
//!
//! # Paper
//! Unlocking State-Tracking in Linear RNNs Through Negative Eigenvalues; Riccardo Grazzi, Julien Siems, Arber Zela, Jörg K. H. Franke, Frank
//! Hutter, Massimiliano Pontil; arXiv 2411.12537, ICLR 2025. Several steps per token: DeltaProduct, arXiv 2502.10297.
//!
//! # When it helps, and when it does not
//! It helps where the label depends on a state that every token moves: parity, switches, what lies where after swaps, small automata; and
//! where answers are needed token by token in constant time and memory ([`Stepper`]). [`Automaton::probe`] says what a given automaton needs. It
//! does not help where a short window decides. Diagonal layers cannot count modulo a number that is no power of two, a single delta layer of one
//! step per token not modulo more than 2. What is learned is near −1, not −1: far beyond the lengths trained on the state fades,
//! which `snap` of [`Stepper::new`] can mend. A gated recurrent unit ([`Mixer::Gru`]) learns all of these tasks and is not linear.
//!
//! # Parameters
//! [`Parameters`]; each says the paper's value and ours where they differ.
//!
//! # Deviations from the paper
//! 1. A learned token stands before every sequence (test `a_start_tells_one_token_from_two`).
//! 2. Short convolutions are off by default, and then nothing passes through SiLU (test `streams_are_the_parallel_form`).
//! 3. The diagonal layer is as wide as the residual stream, and `δ` comes from a full matrix.
//! 4. Several Householder steps per token (test `streams_are_the_parallel_form`).
//! 5. Single precision throughout; the learning rate falls linearly.
//!
//! # Errors
//! [`Error`](crate::Error): parameters out of range, empty sequences, labels that are not as many as tokens, one label only, unknown tokens,
//! files that are no model, training that diverges.
//!
//! # Cost
//! Of a delta layer `O(length · width · (chunk + d))` in matrix products over chunks of 32 steps; of a diagonal one `O(length · width · states)`. A token of a
//! stream costs the same at any position, and the state has `width · d` or `width · states` numbers per layer.
//!
//! # Example
//! ```
//! use backstitch_sequence::negative_eigenvalues::sequences::read_sequences_from;
//! use backstitch_sequence::negative_eigenvalues::{NegativeEigenvalues, Parameters, Stepper};
//!
//! // The label says whether there was an odd number of b.
//! let file = r#"{"tokens": "a b a", "labels": "even odd odd"}
//! {"tokens": "b b b", "labels": "odd even odd"}
//! {"tokens": "b a b", "labels": "odd odd even"}
//! {"tokens": "a a b", "labels": "even even odd"}"#;
//! let sequences = read_sequences_from(file.as_bytes(), "few.jsonl".as_ref())?;
//! let parameters = Parameters { steps: 100, width: 8, ..Parameters::default() };
//! let fitted = NegativeEigenvalues::new(parameters)?.fit(&sequences)?;
//! let mut stepper = Stepper::new(&fitted.model, 0.0)?;
//! let b = 1;
//! let label = stepper.step(b)?.label;
//! assert_eq!(fitted.model.vocabulary().labels[label], "odd");
//! # Ok::<(), backstitch_sequence::Error>(())
//! ```

pub mod automaton;
mod card;
mod model;
mod parameters;
pub mod sequences;
mod spectrum;
mod stream;
pub mod tasks;

pub use automaton::{Answer, Automaton, Probe};
pub use backstitch_nn::{Eigenvalues, Mixer};
pub use card::CARD;
pub use model::{Fitted, Model, NegativeEigenvalues, Prediction, SCHEMA, batch_of};
pub use parameters::Parameters;
pub use spectrum::{BINS, Spectrum, spectra};
pub use stream::Stepper;
