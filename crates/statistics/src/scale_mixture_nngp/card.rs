//! The card of this room.

use backstitch_claim::{Card, OfficialCode};

/// What stands beside the shelf row.
pub const CARD: Card = Card {
    id: "scale-mixture-nngp",
    authors: "Lee, Hyungi and Yun, Eunggu and Yang, Hongseok and Lee, Juho",
    venue: Some("ICLR 2022"),
    official_code: Some(OfficialCode {
        repository: "Hyungi-Lee/Scale-Mixtures-of-Neural-Network-Gaussian-Processes",
        licence: "no licence file",
    }),
    summary: "Bayesian regression with the limit of wide networks whose last-layer scale is drawn too: calibrated intervals from few rows.",
    helps: "tens to a few hundred rows of a smooth function, where intervals matter as much as means; the Gaussian process is too sure of \
            the scale that it fitted, and heavier tails cost next to nothing where it is not",
    does_not_help: "many rows (with n of them predictions have more than n degrees of freedom, and are a Gaussian process's); outliers (means \
                    are the Gaussian process's, and one outlier widens all intervals, for signal and noise share the scale); where \
                    features have to be learned; more than some thousand rows without inducing points, as time is cubic",
    example: "backstitch run scale-mixture-nngp fit --data table.csv --target y --out model/",
    deviations: &[
        "Other priors of the scale than the inverse gamma (Burr XII, half-Cauchy, gamma) are integrated by quadrature over its logarithm, \
         exact to rounding, in place of importance sampling with 1,000 draws.",
        "Shape and scale of the prior are kept. Where the scale of kernel and noise is free, the evidence grows with the shape without \
         end: it cannot choose the degrees of freedom, and its maximum is the Gaussian process. `--fit-prior` searches them as the \
         released code does.",
        "Hyper-parameters are searched by L-BFGS on analytic gradients, in place of Adam; the noise stays above 1e-6 of the target's \
         variance.",
        "Predictions of targets include their noise; the released code leaves it out. `--latent` does too.",
        "Draws of a multivariate t share one scale; the released sampler draws one for every coordinate.",
        "More than 5,000 rows are refused with the memory they would take, or seen through inducing rows (`--inducing`), with \
         hyper-parameters searched on at most 1,000 rows.",
        "The classifier's variational posterior is diagonal in whitened coordinates, the scale is integrated by \
         quadrature, and deviations of the kernel and inducing images are given, not learned.",
        "Convolutional kernels have 3 x 3 filters without strides and a flattened read-out. Pooling, strides and residual networks are not \
         here.",
        "The study's classification is of 8 x 8 digits, clean, and moved by a pixel with noise, in place of MNIST, CIFAR and their corrupted \
         versions; regressions are of four public tables and one of the program's own, with 20 or 300 training rows.",
    ],
};
