"""Makes crates/statistics/tests/vectors/continual-dp.json: privacy curves by scipy, error factors by dense matrices.

    python continual_dp_vectors.py > ../crates/statistics/tests/vectors/continual-dp.json
"""

import json

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm


def gaussian_delta(ratio, epsilon):
    left = norm.logcdf(ratio / 2 - epsilon / ratio)
    right = epsilon + norm.logcdf(-ratio / 2 - epsilon / ratio)
    return float(np.exp(left) * -np.expm1(right - left))


def gaussian_multiplier(epsilon, delta):
    root = brentq(lambda x: np.log(gaussian_delta(np.exp(-x), epsilon) / delta), -8, 12, xtol=1e-14, rtol=1e-14)
    return float(np.exp(root))


def factors(horizon):
    ones = np.tril(np.ones((horizon, horizon)))
    b = np.concatenate([[1.0], np.cumprod(1 - 0.5 / np.arange(1, horizon))])
    root = np.array([[b[i - j] if i >= j else 0.0 for j in range(horizon)] for i in range(horizon)])
    normalised = root / np.linalg.norm(root, axis=0)
    found = {}
    for name, right in (("square-root", root), ("normalised-square-root", normalised)):
        left = ones @ np.linalg.inv(right)
        column = np.linalg.norm(right, axis=0).max()
        rows = (left**2).sum(axis=1)
        found[name] = [float(np.sqrt(rows.max()) * column), float(np.sqrt(rows.mean()) * column)]
    found["lower-bound"] = float(np.linalg.svd(ones, compute_uv=False).sum() / horizon)
    return found


def main():
    curve = [(r, e) for r in (0.01, 0.1, 0.5, 1.0, 3.0, 8.0) for e in (0.01, 0.5, 1.0, 4.0)]
    calibration = [(e, d) for e in (0.1, 0.5, 1.0, 3.0, 10.0) for d in (1e-2, 1e-6, 1e-9)]
    print(
        json.dumps(
            {
                "delta": [[r, e, gaussian_delta(r, e)] for r, e in curve],
                "multiplier": [[e, d, gaussian_multiplier(e, d)] for e, d in calibration],
                "factors": {str(horizon): factors(horizon) for horizon in (1, 2, 7, 64, 300)},
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
