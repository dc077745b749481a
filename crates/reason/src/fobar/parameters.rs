//! What the method can be told.

use serde::{Deserialize, Serialize};

use crate::Error;

/// How the two probabilities become one. α is the weight of the forward one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Combination {
    /// `P_f^α · P_b^(1−α)`, the paper's.
    Geometric,
    /// `α P_f + (1−α) P_b`.
    Arithmetic,
}

/// How answers are found in replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Extraction {
    /// The robust rule of [`backstitch_llm::answer`]; replies without an answer are no candidates.
    Robust,
    /// The rule of the official repository; replies without an answer are a candidate of their own.
    Paper,
}

/// What one request may ask for.
const MOST_SAMPLES: u32 = 10_000;

/// What [`Fobar`](super::Fobar) can be told. The default is the paper's method for chat models.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Parameters {
    /// Forward samples per question, at most 10,000 (10; the paper takes 40 for completion models).
    pub forward_samples: u32,
    /// Backward samples per mask and candidate, at most 10,000 (8).
    pub backward_samples: u32,
    /// Temperature of both (0.7).
    pub temperature: f64,
    /// Weight α of the forward probability (0.5). 1 is self-consistency, without backward questions; 0 decides by backward answers
    /// only.
    pub alpha: f64,
    /// How the two are combined (geometric).
    pub combination: Combination,
    /// Forward samples an answer needs to be checked backward (1).
    pub threshold: u32,
    /// Most masks per question, the first ones of its text (all).
    pub most_masks: Option<u32>,
    /// How answers are found in replies (robust).
    pub extraction: Extraction,
    /// Most tokens of a reply (512).
    pub max_tokens: u32,
    /// The seed sent with each request, for servers and models that take one (none).
    pub seed: Option<u64>,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            forward_samples: 10,
            backward_samples: 8,
            temperature: 0.7,
            alpha: 0.5,
            combination: Combination::Geometric,
            threshold: 1,
            most_masks: None,
            extraction: Extraction::Robust,
            max_tokens: 512,
            seed: None,
        }
    }
}

impl Parameters {
    /// Checks every field.
    ///
    /// # Errors
    /// [`Error::Parameter`] of the first field outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        let counts = [
            ("forward_samples", self.forward_samples, "use 10, the paper's for chat models"),
            ("backward_samples", self.backward_samples, "use 8, the paper's"),
            ("threshold", self.threshold, "1 checks every answer that was given"),
            (
                "most_masks",
                self.most_masks.unwrap_or(1),
                "leave it out to mask every number, or set alpha to 1",
            ),
            ("max_tokens", self.max_tokens, "a chain of steps and the answer need some hundred"),
        ];
        for (name, value, way_out) in counts {
            if value == 0 {
                return Err(Error::parameter(name, value, "at least 1", way_out));
            }
            if name.ends_with("samples") && value > MOST_SAMPLES {
                return Err(Error::parameter(name, value, "at most 10000", way_out));
            }
        }
        if !(0.0..=2.0).contains(&self.temperature) {
            return Err(Error::parameter(
                "temperature",
                self.temperature,
                "from 0 to 2",
                "use 0.7, the paper's",
            ));
        }
        if self.temperature == 0.0 && self.forward_samples > 1 {
            let way_out = "at 0 all samples are the same; use 0.7, the paper's";
            return Err(Error::parameter(
                "temperature",
                0,
                "above 0 for more than one forward sample",
                way_out,
            ));
        }
        if !(0.0..=1.0).contains(&self.alpha) {
            return Err(Error::parameter("alpha", self.alpha, "from 0 to 1", "use 0.5, the paper's"));
        }
        Ok(())
    }
}
