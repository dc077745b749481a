//! Scale mixtures of neural network Gaussian processes: Bayesian regression and classification with the infinite-width limit of a network
//! whose last layer has one random scale.
//!
//! # What it computes
//!
//! A network of `depth` hidden layers with weights of deviation w (over the root of what they sum over) and biases of deviation b tends,
//! as its width grows, to a Gaussian process with the kernel K of the recursion
//!
//! ```text
//! K⁰(x, x') = w² xᵀx'/d + b²      Kˡ = w² F(Kˡ⁻¹) + b²      K = v² F(K^depth⁻¹)
//! F(k) = √(k_xx k_x'x') (sin θ + (π − θ) cos θ) / 2π,  cos θ = k / √(k_xx k_x'x')      for ReLU
//! F(k) = (2/π) arcsin(2k / √((1 + 2k_xx)(1 + 2k_x'x')))                                for erf
//! ```
//!
//! with v the deviation of the last layer, which has no bias. If the variance of the last layer is itself drawn, v² s² with s² ~ H, outputs
//! f given s² are normal with covariance s² K, and without it a scale mixture: a Student-t process of 2a degrees of freedom for an
//! inverse-gamma H of shape a. With noise, y | s² ~ N(0, s² K̃), K̃ = K + εI (x and y standardised), and with q = yᵀ K̃⁻¹ y all that data say
//! of s² is n and q:
//!
//! ```text
//! log p(y) = −½ log det 2πK̃ + log E_H[(s²)^(−n/2) exp(−q/2s²)]
//! y* | y, s² ~ N(k*ᵀ K̃⁻¹ y,  s² (k** + ε − k*ᵀ K̃⁻¹ k*))      s² | y ∝ H(s²) (s²)^(−n/2) exp(−q/2s²)
//! ```
//!
//! Means do not depend on H at equal hyper-parameters. For an inverse-gamma H with shape a and scale c the rest is Student's t with 2a + n
//! degrees of freedom and squared scale (2c + q)/(2a + n) times the variance above. For any other [`Prior`] the one integral over log s²
//! is done by the trapezoid rule, which is exact to rounding here.
//!
//! [`ScaleMixtureNngp`] fits hyper-parameters by the evidence and gives a [`Model`]; its [`Posterior`] predicts, draws, and leaves rows out.
//! [`ClassificationParameters`] fits the sparse variational classifier: inducing rows, a latent function per class, q(u | s²) normal,
//! q(s²) inverse gamma, one s² for all classes. [`Kernel`] also has convolutions over small images.
//!
//! # Paper
//!
//! *Scale Mixtures of Neural Network Gaussian Processes*, Hyungi Lee, Eunggu Yun, Hongseok Yang, Juho Lee, ICLR 2022, arXiv 2107.01408:
//! the limit, the Student-t process, importance sampling for other priors, the variational classifier. The authors' code has no licence;
//! nothing of it is used.
//!
//! # When it helps, and when it does not
//!
//! It helps with few rows (tens), where the Gaussian process is too sure of the scale that it fitted, and where the kernel's scale is
//! wrong and not searched.
//! - With n rows predictions have more than n degrees of freedom: from some hundreds of rows they are the Gaussian process's.
//! - The one scale is shared by signal and noise. It does not make a regression robust against outliers among many rows: means are those
//!   of the Gaussian process, and an outlier widens all intervals.
//! - No features are learned. Where a trained network beats kernels, this does not help.
//! - Time is cubic and memory quadratic in n; see *Cost*.
//!
//! # Parameters
//!
//! [`Parameters`]: depth 4, ReLU and starting deviations out of the released grid, shape and scale 2; the search takes at most 100 steps.
//!
//! # Deviations from the paper
//!
//! 1. Importance sampling is replaced by quadrature ([`Prior::posterior`]; tests `quadrature_is_the_closed_form_where_there_is_one`,
//!    `quadrature_is_what_sampling_tends_to`); [`Prior::by_sampling`] is the published estimate.
//! 2. Shape and scale of the prior are kept, not searched. Where the scale of kernel and noise is free, the evidence grows with the
//!    shape (test `evidence_cannot_choose_the_degrees_of_freedom`): its maximum over priors is a fixed scale, the Gaussian process.
//!    [`Parameters::fit_prior`] searches them as the released code does.
//! 3. The search is L-BFGS on analytic gradients through softplus (test `derivatives_of_the_evidence_are_central_differences`) in place of
//!    Adam on automatic ones; the noise does not go below 1e-6 of the target's variance.
//! 4. Predicted targets have the noise that the fit has; the released code predicts without ([`Posterior::predict`] with `latent`).
//! 5. Draws of a multivariate t share their scale (test `joint_draws_share_their_scale`); the released sampler draws one per coordinate.
//! 6. The classifier's q is diagonal in whitened coordinates, its expectations integrate s² by quadrature, its kernel's deviations and
//!    inducing rows are fixed, and its learning rate falls linearly.
//! 7. Strided convolutions, pooling and residual networks are not here.
//! 8. More rows than [`Parameters::exact_rows`] are seen through inducing rows (fully independent training conditional), chosen by
//!    pivoted Cholesky, with hyper-parameters searched on at most 1,000 of the rows (tests `inducing_all_rows_is_exact`,
//!    `more_inducing_rows_come_nearer_to_the_exact_posterior`).
//!
//! # Errors
//!
//! [`Error`](crate::Error): a parameter outside its range (a shape of ½ or less has no predictive mean before data), tables whose shapes
//! do not fit, values that are not finite, a constant target, too many rows with the memory they would take, a kernel that is not positive
//! definite even with a share of 1e-4 of its diagonal added. What was added is [`Posterior::jitter`].
//!
//! # Cost
//!
//! A step of the search: O(n² · depth) for the kernel and its derivatives, n³ multiplications for the factor and the inverse; 24 n² bytes
//! (600 MB at 5,000 rows). With m inducing rows O(n m²) time and 8 n m bytes. Kernels, factors and solves run in fixed blocks on all
//! threads; results do not depend on their number.
//!
//! # Example
//!
//! ```
//! use backstitch_numerics::Matrix;
//! use backstitch_statistics::scale_mixture_nngp::{Parameters, ScaleMixtureNngp};
//!
//! let x = Matrix::from_fn(12, 1, |row, _| row as f64 / 4.0);
//! let y: Vec<f64> = x.column(0).map(|x| (2.0 * x).sin()).collect();
//! let model = ScaleMixtureNngp::new(Parameters::default())?.fit(&x, &y)?;
//! let predicted = model.posterior()?.predict(&Matrix::from_fn(1, 1, |_, _| 1.1), false)?;
//! assert!((predicted.mean[0] - 2.2_f64.sin()).abs() < predicted.half_width(0.99)[0]);
//! // Two degrees of freedom for each of the shape, one for each row.
//! assert_eq!(predicted.mixing.degrees_of_freedom(), 16.0);
//! # Ok::<(), backstitch_statistics::Error>(())
//! ```

mod card;
mod classification;
mod drawing;
mod evidence;
mod inducing;
mod kernel;
mod linear;
mod mixing;
mod model;
mod parameters;
mod pixels;
mod prior;
mod recursion;
mod regression;
mod variational;

pub use card::CARD;
pub use classification::{ClassScale, ClassificationParameters, Classifier};
pub use drawing::draw_calibration;
pub use evidence::{Evidence, evidence};
pub use kernel::Kernel;
pub use mixing::{Mixing, Source};
pub use model::{LeftOut, Model, Posterior, Predictive, Standardisation};
pub use parameters::{Activation, Architecture, Hyperparameters, ImageShape, Parameters};
pub use prior::{Prior, ScalePosterior};
pub use regression::ScaleMixtureNngp;
