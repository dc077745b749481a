"""Writes crates/statistics/tests/vectors/topo.json: what numpy, scipy and dagma 1.1.1 say.

    python peers/topo_vectors.py crates/statistics/tests/vectors/topo.json
"""

import contextlib
import io
import json
import sys
from importlib.metadata import version

import numpy as np
from dagma.linear import DagmaLinear
from scipy.optimize import minimize


def linear_model(generator, rows, nodes, edges):
    """Samples of a random linear model with standard normal noise, rounded so that the file stays small."""
    weights = np.zeros((nodes, nodes))
    pairs = [(i, j) for j in range(nodes) for i in range(j)]
    for index in generator.permutation(len(pairs))[:edges]:
        weights[pairs[index]] = generator.choice([-1, 1]) * generator.uniform(0.5, 2)
    labels = generator.permutation(nodes)
    noise = generator.normal(size=(rows, nodes))
    samples = noise @ np.linalg.inv(np.eye(nodes) - weights)
    return np.round(samples[:, labels], 6)


def regression_score(centred, order):
    """Half the mean squared residual of every column regressed on those before it, and the weights."""
    rows, nodes = centred.shape
    weights, score = np.zeros((nodes, nodes)), 0.0
    for position, node in enumerate(order):
        before = list(order[:position])
        residual = centred[:, node].copy()
        if before:
            found = np.linalg.lstsq(centred[:, before], centred[:, node], rcond=None)[0]
            weights[before, node] = found
            residual -= centred[:, before] @ found
        score += 0.5 * (residual**2).mean()
    return score, weights


def run_dagma(samples, **settings):
    """The package, before its threshold."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        return DagmaLinear(loss_type="l2").fit(samples.copy(), w_threshold=0.0, **settings)


def logistic_case(generator):
    """One L1-penalised logistic regression solved by a general optimiser on split variables."""
    rows, parents, penalty = 200, 4, 0.02
    features = (generator.uniform(size=(rows, parents)) < 0.5).astype(float)
    margin = features @ np.array([2.0, -1.5, 0.0, 0.7])
    target = (generator.uniform(size=rows) < 1 / (1 + np.exp(-margin))).astype(float)
    results = {}
    for name, intercept in [("without_intercept", False), ("with_intercept", True)]:

        def objective(z):
            weights, shift = z[:parents] - z[parents : 2 * parents], z[-1] if intercept else 0.0
            m = features @ weights + shift
            error = 1 / (1 + np.exp(-m)) - target
            slope = features.T @ error / rows
            gradient = np.concatenate([slope + penalty, -slope + penalty, [error.mean()] if intercept else []])
            value = (np.logaddexp(0, m) - target * m).mean() + penalty * z[: 2 * parents].sum()
            return value, gradient

        bounds = [(0, None)] * (2 * parents) + ([(None, None)] if intercept else [])
        start = np.zeros(len(bounds))
        found = minimize(
            objective, start, jac=True, method="L-BFGS-B", bounds=bounds,
            options={"ftol": 1e-16, "gtol": 1e-12, "maxiter": 100000, "maxfun": 1000000},
        )
        results[name] = {
            "objective": float(found.fun),
            "weights": (found.x[:parents] - found.x[parents : 2 * parents]).tolist(),
        }
    return {
        "table": np.column_stack([features, target]).astype(int).tolist(),
        "penalty": penalty,
        **results,
    }


def main():
    generator = np.random.default_rng(20230527)
    cases = []
    for rows, nodes, edges in [(60, 5, 6), (100, 8, 12), (150, 10, 20)]:
        samples = linear_model(generator, rows, nodes, edges)
        centred = samples - samples.mean(axis=0)
        order = generator.permutation(nodes).tolist()
        score, weights = regression_score(centred, order)
        raw_score, _ = regression_score(samples, order)
        cases.append(
            {
                "samples": samples.tolist(),
                "order": order,
                "score": score,
                "score_not_centred": raw_score,
                "weights": weights.tolist(),
                "dagma": run_dagma(samples).tolist(),
                # Short: rounding has no time to grow, so every step can be compared closely.
                "dagma_short": run_dagma(samples, warm_iter=400, max_iter=600, checkpoint=100).tolist(),
            }
        )
    vectors = {
        "made_with": {name: version(name) for name in ["dagma", "numpy", "scipy"]},
        "linear": cases,
        "logistic": logistic_case(generator),
    }
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(vectors, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
