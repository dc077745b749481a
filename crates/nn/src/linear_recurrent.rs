//! Linear recurrences as layers `[batch, length, width]` → the same, where the decoder has attention: the diagonal one of Mamba and the
//! products of Householder matrices of DeltaNet, each with eigenvalues in [0, 1] or in [−1, 1].

use backstitch_kernels::elementwise::Function;
use backstitch_kernels::operations::{activation, delta_rule, gated, norm, scan};
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::activation::{sigmoid, softplus};

use crate::layers::{Initializer, Linear, Normalization};

/// Where the eigenvalues of a state transition may lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Eigenvalues {
    /// In [0, 1], as Mamba and DeltaNet were published.
    Positive,
    /// In [−1, 1].
    #[default]
    Signed,
}

/// A causal convolution per channel over the last few positions.
#[derive(Module, Debug)]
pub struct ShortConvolution {
    /// `[positions, width]`; the last row is of the position itself.
    pub weight: Param<Tensor<2>>,
}

impl ShortConvolution {
    fn new(initial: &Initializer<'_>, name: &str, positions: usize, width: usize) -> Self {
        let bound = 1.0 / (positions as f64).sqrt();
        Self { weight: initial.uniform(&format!("{name}.weight"), [positions, width], bound) }
    }

    /// `[batch, length, width]` → the same, followed by SiLU.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let ([batch, length, width], weight) = (x.dims(), self.weight.val());
        let positions = weight.dims()[0];
        if length == 0 {
            return x;
        }
        let before = Tensor::zeros([batch, positions - 1, width], &x.device());
        let padded = Tensor::cat(vec![before, x], 1);
        let share = |at: usize| {
            padded.clone().narrow(1, at, length) * weight.clone().narrow(0, at, 1).unsqueeze_dim::<3>(0)
        };
        let sum = (1..positions).fold(share(0), |sum, at| sum + share(at));
        activation(Function::Silu, sum)
    }
}

/// `H_t = A_t ∘ H_{t−1} + δ_t B_t u_t`, `y_t = C_t · H_t + D u_t`, with a state `[width, states]`, `A_t = exp(−δ_t eʷ)` and `δ_t = softplus(…)`; with
/// signed eigenvalues `2 A_t − 1` in the place of `A_t` and nothing else changed. The output is gated by SiLU.
#[derive(Module, Debug)]
pub struct Diagonal {
    /// `u`, `[width, width]`.
    pub input: Linear,
    /// The gate, `[width, width]`.
    pub gate: Linear,
    /// On `u`, where it is asked for.
    pub convolution: Option<ShortConvolution>,
    /// `δ` before the softplus, `[width, width]`.
    pub delta: Linear,
    /// `B`, `[width, states]`.
    pub write: Linear,
    /// `C`, `[width, states]`.
    pub read: Linear,
    /// `w`, `[width, states]`.
    pub rate: Param<Tensor<2>>,
    /// `D`, `[width]`.
    pub skip: Param<Tensor<1>>,
    /// `[width, width]`.
    pub output: Linear,
    #[module(skip)]
    eigenvalues: Eigenvalues,
}

impl Diagonal {
    pub(crate) fn new(initial: &Initializer<'_>, name: &str, shape: DiagonalShape) -> Self {
        let DiagonalShape { width, states, convolution, eigenvalues } = shape;
        let linear = |part: &str, outputs: usize, bias: bool| {
            Linear::uniform(initial, &format!("{name}.{part}"), [width, outputs], bias)
        };
        let mut rate = initial.constant([width, states], 0.0);
        if states > 1 {
            // Rates 1, 2, 3, … as Mamba begins.
            let rows: Vec<f32> = (0..width * states).map(|at| ((at % states + 1) as f32).ln()).collect();
            rate = crate::tensors::replace_value(rate, rows);
        }
        Self {
            input: linear("input", width, false),
            gate: linear("gate", width, false),
            convolution: (convolution > 0)
                .then(|| ShortConvolution::new(initial, &format!("{name}.convolution"), convolution, width)),
            delta: linear("delta", width, true),
            write: linear("write", states, false),
            read: linear("read", states, false),
            rate,
            skip: initial.constant([width], 1.0),
            output: linear("output", width, false),
            eigenvalues,
        }
    }

    /// `[batch, length, width]` → the same.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let ([batch, length, width], states) = (x.dims(), self.rate.val().dims()[1]);
        let gate = self.gate.forward(x.clone());
        let mut u = self.input.forward(x);
        if let Some(convolution) = &self.convolution {
            u = convolution.forward(u);
        }
        let delta = softplus(self.delta.forward(u.clone()), 1.0);
        let rate = self.rate.val().exp().unsqueeze_dims::<4>(&[0, 1]);
        let mut a = (delta.clone().unsqueeze_dim::<4>(3) * rate).neg().exp();
        if self.eigenvalues == Eigenvalues::Signed {
            a = a.mul_scalar(2.0).sub_scalar(1.0);
        }
        let written = self.write.forward(u.clone()).unsqueeze_dim::<4>(2);
        let b = (delta * u.clone()).unsqueeze_dim::<4>(3) * written;
        let flat = [batch, length, width * states];
        let h = scan(a.reshape(flat), b.reshape(flat)).reshape([batch, length, width, states]);
        let read = self.read.forward(u.clone()).unsqueeze_dim::<4>(2);
        let y = (h * read).sum_dim(3).squeeze_dim::<3>(3) + u * self.skip.val().unsqueeze();
        self.output.forward(gated(Function::Silu, gate, y))
    }
}

/// The sizes of a diagonal layer.
#[derive(Clone, Copy)]
pub(crate) struct DiagonalShape {
    pub(crate) width: usize,
    pub(crate) states: usize,
    pub(crate) convolution: usize,
    pub(crate) eigenvalues: Eigenvalues,
}

/// `S_t = S_{t−1} (I − β_t k_t k_tᵀ) + β_t v_t k_tᵀ`, `o_t = S_t q_t / √key` with `‖k‖ = ‖q‖ = 1`; `β = σ(…)` in (0, 1), or `2 σ(…)` with signed
/// eigenvalues. A token may take several such steps before it is read, each with its own `k`, `v` and `β`.
#[derive(Module, Debug)]
pub struct Delta {
    /// `[width, heads · key]`.
    pub query: Linear,
    /// `[width, steps · heads · key]`.
    pub key: Linear,
    /// `[width, steps · heads · key]`.
    pub value: Linear,
    /// `β` before the logistic function, `[width, steps · heads]`.
    pub beta: Linear,
    /// On queries, keys and values, where they are asked for.
    pub convolutions: Option<Vec<ShortConvolution>>,
    /// RMS norm of a head's output, `[key]`.
    pub norm: Normalization,
    /// `[heads · key, width]`.
    pub output: Linear,
    #[module(skip)]
    shape: DeltaShape,
}

/// The sizes of a delta layer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeltaShape {
    pub(crate) width: usize,
    pub(crate) heads: usize,
    pub(crate) head_width: usize,
    /// Householder steps per token.
    pub(crate) steps: usize,
    pub(crate) convolution: usize,
    pub(crate) eigenvalues: Eigenvalues,
    pub(crate) epsilon: f64,
}

/// Added to the square of a key's length, so that a zero key stays zero.
pub const KEY_EPSILON: f64 = 1e-6;

impl Delta {
    pub(crate) fn new(initial: &Initializer<'_>, name: &str, shape: DeltaShape) -> Self {
        let DeltaShape { width, heads, head_width, steps, convolution, .. } = shape;
        let inner = heads * head_width;
        let linear = |part: &str, outputs: usize| {
            Linear::uniform(initial, &format!("{name}.{part}"), [width, outputs], false)
        };
        let widths = [inner, steps * inner, steps * inner];
        let convolutions = ["query", "key", "value"].iter().zip(widths).map(|(part, width)| {
            ShortConvolution::new(initial, &format!("{name}.convolution.{part}"), convolution, width)
        });
        Self {
            query: linear("query", inner),
            key: linear("key", steps * inner),
            value: linear("value", steps * inner),
            beta: linear("beta", steps * heads),
            convolutions: (convolution > 0).then(|| convolutions.collect()),
            norm: Normalization::new(initial, head_width, false, shape.epsilon),
            output: Linear::uniform(initial, &format!("{name}.output"), [inner, width], false),
            shape,
        }
    }

    /// `[batch, length, width]` → the same.
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let DeltaShape { heads, head_width, steps, eigenvalues, .. } = self.shape;
        let [batch, length, _] = x.dims();
        let convolved = |at: usize, x: Tensor<3>| match &self.convolutions {
            Some(convolutions) => convolutions[at].forward(x),
            None => x,
        };
        let mut query =
            unit(convolved(0, self.query.forward(x.clone())).reshape([batch, length, heads, head_width]));
        let stepped = [batch, length * steps, heads, head_width];
        let key = unit(convolved(1, self.key.forward(x.clone())).reshape(stepped));
        let value = convolved(2, self.value.forward(x.clone())).reshape(stepped);
        let mut beta = sigmoid(self.beta.forward(x)).reshape([batch, length * steps, heads]);
        if eigenvalues == Eigenvalues::Signed {
            beta = beta.mul_scalar(2.0);
        }
        if steps > 1 {
            // Only the last step of a token is read.
            let unread = Tensor::zeros([batch, length, steps - 1, heads, head_width], &query.device());
            query = Tensor::cat(vec![unread, query.unsqueeze_dim::<5>(2)], 2).reshape(stepped);
        }
        let mut out = delta_rule(query, key, value, beta);
        if steps > 1 {
            let apart = out.reshape([batch, length, steps, heads, head_width]);
            out = apart.narrow(2, steps - 1, 1).squeeze_dim::<4>(2);
        }
        self.output.forward(self.norm.forward(out).reshape([batch, length, heads * head_width]))
    }
}

/// Rows of length 1: `x / √(‖x‖² + ε)`.
fn unit(x: Tensor<4>) -> Tensor<4> {
    let width = x.dims()[3];
    let scale = Tensor::full([width], 1.0 / (width as f64).sqrt(), &x.device());
    norm(x, scale, None, KEY_EPSILON / width as f64)
}
