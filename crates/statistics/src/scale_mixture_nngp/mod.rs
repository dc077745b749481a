//! Scale mixtures of neural network Gaussian processes.
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
