"""Makes crates/statistics/tests/vectors/scale_mixture_nngp.json: kernels of neural-tangents in double precision, Student-t densities of
scipy, evidences under other priors by scipy's quadrature.

    python scale_mixture_nngp_vectors.py > ../crates/statistics/tests/vectors/scale_mixture_nngp.json
"""

import json

import jax

jax.config.update("jax_enable_x64", True)

import numpy as np
from neural_tangents import stax
from scipy.integrate import quad
from scipy.stats import burr12, gamma, halfcauchy, multivariate_t, t

WEIGHT, BIAS, LAST = 1.3, 0.4, 0.9


def dense(depth, activation):
    layers = []
    for _ in range(depth):
        layers += [stax.Dense(1, W_std=WEIGHT, b_std=BIAS), activation()]
    return stax.serial(*layers, stax.Dense(1, W_std=LAST))[2]


def convolutional(depth):
    layers = []
    for _ in range(depth):
        layers += [stax.Conv(1, (3, 3), padding="SAME", W_std=WEIGHT, b_std=BIAS), stax.Relu()]
    return stax.serial(*layers, stax.Flatten(), stax.Dense(1, W_std=LAST))[2]


def log_evidence(density, n, q):
    """log E[s2^(-n/2) exp(-q / 2 s2)] with s2 of this density, by quadrature in log s2 around its peak."""

    def log_integrand(u):
        s2 = np.exp(u)
        return np.log(density(s2)) + u - 0.5 * n * u - 0.5 * q / s2

    grid = np.linspace(-30, 30, 60001)
    with np.errstate(all="ignore"):
        values = np.array([log_integrand(u) for u in grid])
    values[np.isnan(values)] = -np.inf
    top, at = values.max(), grid[values.argmax()]
    pieces = [quad(lambda u: np.exp(log_integrand(u) - top), a, b, epsabs=0, epsrel=1e-13, limit=500)[0]
              for a, b in ((at - 4, at), (at, at + 4), (at + 4, at + 25), (at - 8, at - 4))]
    return float(top + np.log(sum(pieces)))


def main():
    generator = np.random.default_rng(7)
    x = generator.normal(size=(6, 5))
    x[4] = x[0]
    x[5] = -x[1]
    images = generator.normal(size=(4, 4, 3, 2))
    cases = []
    for name, activation in (("relu", stax.Relu), ("erf", stax.Erf)):
        for depth in (1, 4):
            kernel = dense(depth, activation)(x, None, "nngp")
            cases.append({"activation": name, "depth": depth, "kernel": np.asarray(kernel).tolist()})
    kernel = convolutional(3)(images, None, "nngp")
    found = {
        "x": x.tolist(),
        "weight_std": WEIGHT,
        "bias_std": BIAS,
        "last_weight_std": LAST,
        "dense": cases,
        "images": images.reshape(4, -1).tolist(),
        "image_kernel": np.asarray(kernel).tolist(),
    }

    # The Student-t process of depth 4 with noise 0.2 and an inverse-gamma scale.
    shape, scale, noise = 1.5, 2.5, 0.2
    y = generator.normal(size=6)
    covariance = np.array(cases[1]["kernel"]) + noise * np.eye(6)
    found["t"] = {
        "shape": shape,
        "scale": scale,
        "noise": noise,
        "y": y.tolist(),
        "log_density": float(multivariate_t(shape=scale / shape * covariance, df=2 * shape).logpdf(y)),
    }
    inverse = np.linalg.inv(covariance[:5, :5])
    q = y[:5] @ inverse @ y[:5]
    mean = covariance[5, :5] @ inverse @ y[:5]
    variance = covariance[5, 5] - covariance[5, :5] @ inverse @ covariance[5, :5]
    predictive = t(df=2 * shape + 5, loc=mean, scale=np.sqrt((2 * scale + q) / (2 * shape + 5) * variance))
    found["t"]["next"] = {
        "log_density": float(predictive.logpdf(y[5])),
        "upper": float(predictive.ppf(0.975)),
        "mean": float(mean),
    }
    priors = {
        "burr": lambda s2: burr12.pdf(s2, 2.0, 1.5),
        "half_cauchy": lambda s2: halfcauchy.pdf(np.sqrt(s2), scale=0.7) / (2 * np.sqrt(s2)),
        "gamma": lambda s2: gamma.pdf(s2, 2.0),
    }
    found["evidence"] = [
        {"prior": name, "n": n, "q": q, "value": log_evidence(density, n, q)}
        for name, density in priors.items()
        for n, q in ((1, 0.5), (10, 14.0), (200, 150.0))
    ]
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
