"""Writes crates/networks/tests/vectors/exact_permutations.json: the published formulas in numpy (our transcription), and the
kernels and the infinite-time ensemble of neural-tangents where it imports.

    python peers/exact_permutations_vectors.py crates/networks/tests/vectors/exact_permutations.json
"""

import json
import os
import sys
from importlib.metadata import version

import numpy as np

from exact_permutations_numpy import error, models_for, numpy_posterior


def inputs(generator, length, count):
    """Random nonzero 0/1 rows, and their normalised form."""
    rows = (generator.uniform(size=(count, length)) < 0.5).astype(float)
    rows[rows.sum(axis=1) == 0, 0] = 1
    return rows, rows / np.sqrt(rows.sum(axis=1, keepdims=True))


def of_neural_tangents(length, test, parametrisation):
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax

    jax.config.update("jax_enable_x64", True)
    import neural_tangents as nt
    from neural_tangents import stax

    _, _, kernel_function = stax.serial(stax.Dense(1), stax.Relu(), stax.Dense(1))
    basis = np.eye(length)
    predict = nt.predict.gradient_descent_mse_ensemble(kernel_function, basis, basis, diag_reg=0.0)
    get = "ntk" if parametrisation == "ntk" else "nngp"
    found = predict(t=None, x_test=test, get=get, compute_cov=True)
    return {"means": np.asarray(found.mean).tolist(), "covariance": np.asarray(found.covariance).tolist()}


def main():
    generator = np.random.default_rng(20250224)
    made_with = {"numpy": version("numpy")}
    cases = []
    for length in [2, 3, 5, 8, 13, 20]:
        rows, test = inputs(generator, length, min(8, 2**length - 1))
        for parametrisation in ["ntk", "standard"]:
            means, covariance = numpy_posterior(np.eye(length), test, parametrisation)
            case = {
                "length": length,
                "parametrisation": parametrisation,
                "inputs": rows.astype(int).tolist(),
                "means": means.tolist(),
                "covariance": covariance.tolist(),
            }
            pair = np.zeros((1, length))
            pair[0, :2] = 1 / np.sqrt(2)
            row, variance = numpy_posterior(np.eye(length), pair, parametrisation)
            off, on, spread = float(row[0, -1]), float(row[0, 0]), float(variance[0, 0])
            for rounding, cut in [("zero", 0.0), ("midpoint", 0.5 * (off + on))]:
                if length == 2:
                    # No bit is off with two ones of two: the midpoint there is a convention of the implementation.
                    continue
                case[f"models_{rounding}"] = models_for(
                    0.05, lambda n, cut=cut: error(off, on, spread, 2, length, n, cut)
                )
                case[f"error_{rounding}"] = error(off, on, spread, 2, length, 10, cut)
            try:
                case["neural_tangents"] = of_neural_tangents(length, test, parametrisation)
                made_with["neural-tangents"] = version("neural-tangents")
                made_with["jax"] = version("jax")
            except ImportError:
                pass
            cases.append(case)
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump({"made_with": made_with, "cases": cases}, file, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
