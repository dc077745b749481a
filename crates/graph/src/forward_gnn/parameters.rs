//! Parameters of the method.

use serde::{Deserialize, Serialize};

use crate::Error;

/// What a layer does with the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Convolution {
    /// `D^-1/2 (A + I) D^-1/2 X W + b`.
    Gcn,
    /// `X W + (mean over neighbours of X) V + b`.
    Sage,
    /// Attention with 4 heads over neighbours and the node itself.
    Gat,
    /// Nothing: `X W + b`. A perceptron, which says what the features alone give.
    None,
}

/// How the layers learn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Learner {
    /// Layer after layer with one forward pass per epoch, classes as virtual nodes (SF).
    SingleForward,
    /// All layers at each step; what the layers above said enters the loss (SF-top-to-loss).
    TopToLoss,
    /// All layers at each step; what the layer above said enters as input (SF-top-to-input).
    TopToInput,
    /// Layer after layer, forward-forward, labels appended to the features (FF-LA).
    LabelAppending,
    /// Layer after layer, forward-forward, labels as edges to virtual nodes (FF-VN).
    VirtualNodes,
    /// End to end by backpropagation: the baseline.
    Backpropagation,
}

impl Learner {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::SingleForward,
        Self::TopToLoss,
        Self::TopToInput,
        Self::LabelAppending,
        Self::VirtualNodes,
        Self::Backpropagation,
    ];

    /// Whether it learns from positive and negative graphs.
    pub fn is_forward_forward(self) -> bool {
        matches!(self, Self::LabelAppending | Self::VirtualNodes)
    }
}

/// Parameters of ForwardGNN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Parameters {
    /// How the layers learn; single forward.
    pub learner: Learner,
    /// What a layer does with the graph; GCN.
    pub convolution: Convolution,
    /// Layers: 1 to 64. 2.
    pub layers: usize,
    /// Outputs of a layer: 1 to 65,536, for GAT a multiple of 4. 128.
    pub hidden: usize,
    /// Most epochs, per layer where layers learn one after the other: 1 to 1,000,000. 1,000.
    pub epochs: usize,
    /// Epochs from one validation to the next: 1 or more. 2.
    pub validate_every: usize,
    /// Validations in a row without a better one, after which training stops: 1 or more. 100.
    pub patience: usize,
    /// Step size of Adam: above 0. 1e-3.
    pub learning_rate: f64,
    /// L2 penalty in the gradient: 0 or more. 5e-4.
    pub weight_decay: f64,
    /// Temperature of the scores of the single-forward learners: above 0. 1.
    pub temperature: f64,
    /// Goodness that positive nodes shall exceed and negative ones stay below, of the forward-forward learners: finite. 2.
    pub threshold: f64,
    /// Decides initial weights, features of virtual nodes and negative samples.
    pub seed: u64,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            learner: Learner::SingleForward,
            convolution: Convolution::Gcn,
            layers: 2,
            hidden: 128,
            epochs: 1000,
            validate_every: 2,
            patience: 100,
            learning_rate: 1e-3,
            weight_decay: 5e-4,
            temperature: 1.0,
            threshold: 2.0,
            seed: 0,
        }
    }
}

impl Parameters {
    /// Checks every value.
    ///
    /// # Errors
    /// [`Error::Parameter`] for the first outside its range.
    pub fn validate(&self) -> Result<(), Error> {
        let refuse = |name, value: String, allowed: &str, way_out| {
            Err(Error::Parameter { name, value, allowed: allowed.into(), way_out })
        };
        let counts = [
            ("layers", self.layers, 64, "2 is usual"),
            ("hidden", self.hidden, 65_536, "128 is usual"),
            ("epochs", self.epochs, 1_000_000, "1000 is usual"),
            ("validate_every", self.validate_every, 1_000_000, "2 is usual"),
            ("patience", self.patience, 1_000_000, "100 is usual"),
        ];
        for (name, value, most, way_out) in counts {
            if !(1..=most).contains(&value) {
                return refuse(name, value.to_string(), &format!("from 1 to {most}"), way_out);
            }
        }
        if self.convolution == Convolution::Gat && !self.hidden.is_multiple_of(super::attention::HEADS) {
            let value = self.hidden.to_string();
            return refuse("hidden", value, "a multiple of 4 with attention", "128 is usual");
        }
        for (name, value) in [("learning_rate", self.learning_rate), ("temperature", self.temperature)] {
            if !(value.is_finite() && value > 0.0) {
                return refuse(
                    name,
                    value.to_string(),
                    "positive and finite",
                    "leave it out for the usual value",
                );
            }
        }
        if !(self.weight_decay.is_finite() && self.weight_decay >= 0.0) {
            return refuse(
                "weight_decay",
                self.weight_decay.to_string(),
                "finite and at least 0",
                "5e-4 is usual",
            );
        }
        if !self.threshold.is_finite() {
            return refuse("threshold", self.threshold.to_string(), "finite", "2 is usual");
        }
        if self.convolution == Convolution::None && self.learner != Learner::Backpropagation {
            return refuse(
                "convolution",
                "none".into(),
                "gcn, sage or gat for learners that pass labels along edges",
                "learn the features alone by backpropagation",
            );
        }
        Ok(())
    }
}
