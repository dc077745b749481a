"""Writes crates/numerics/tests/vectors/interval.json: intervals and quantiles computed by scipy and numpy.

Run from the root of the repository:  python peers/interval_vectors.py
Made with scipy 1.16.3, numpy 2.4.6 and mpmath 1.4.1. The inputs are drawn here and stored in the file, so the test needs no Python.
"""

import json
import pathlib

import mpmath
import numpy
import scipy
from scipy import stats

LEVEL = 0.95
rng = numpy.random.default_rng(20240607)


def mean_case(name, values):
    values = numpy.asarray(values, dtype=float)
    interval = stats.ttest_1samp(values, 0.0).confidence_interval(LEVEL)
    return {
        "name": name,
        "values": values.tolist(),
        "estimate": float(values.mean()),
        "lower": float(interval.low),
        "upper": float(interval.high),
    }


def proportion_case(successes, trials):
    # Not binomtest().proportion_ci(): it finds the ends by root finding to an absolute 2e-12 only.
    tail = (1.0 - LEVEL) / 2.0
    failures = trials - successes
    lower = stats.beta.ppf(tail, successes, failures + 1) if successes else 0.0
    upper = stats.beta.isf(tail, successes + 1, failures) if failures else 1.0
    return {
        "successes": successes,
        "trials": trials,
        "estimate": successes / trials,
        "lower": float(lower),
        "upper": float(upper),
    }


def single_success_case(trials):
    """One success in many trials: scipy's ends are off by 1e-8 at a thousand million, so forty digits of mpmath."""
    mpmath.mp.dps = 40
    n, tail = mpmath.mpf(trials), mpmath.mpf("0.025")
    excess = lambda p: mpmath.log((1 - p) ** n + n * p * (1 - p) ** (n - 1)) - mpmath.log(tail)
    return {
        "successes": 1,
        "trials": trials,
        "estimate": 1 / trials,
        "lower": float(1 - (1 - tail) ** (1 / n)),
        "upper": float(mpmath.findroot(excess, (5 / n, 6 / n), solver="anderson", tol=1e-30)),
    }


def slope_case(name, series):
    slopes = numpy.array([stats.linregress(x, y).slope for x, y in series])
    case = mean_case(name, slopes)
    del case["values"]
    case["series"] = [{"x": list(map(float, x)), "y": list(map(float, y))} for x, y in series]
    return case


def quantile_case(values, probability):
    return {
        "values": list(map(float, values)),
        "probability": probability,
        "quantile": float(numpy.quantile(values, probability)),
    }


x = numpy.log([64.0, 128.0, 256.0, 512.0])
vectors = {
    "made_by": f"peers/interval_vectors.py, scipy {scipy.__version__}, numpy {numpy.__version__}",
    "mean_t": [
        mean_case("two values", [0.3, 0.5]),
        mean_case("five seeds", [0.021, 0.034, 0.018, 0.027, 0.030]),
        mean_case("normal, ten", rng.normal(1.0, 2.0, 10)),
        mean_case("small spread far from zero", 1e6 + rng.normal(0.0, 1.0, 8)),
        mean_case("large magnitudes", 1e120 * rng.normal(1.0, 1.0, 7)),
        mean_case("small magnitudes", 1e-120 * rng.normal(1.0, 1.0, 7)),
        mean_case("skewed, two hundred", rng.exponential(1.0, 200)),
    ],
    "proportion_exact": [
        proportion_case(k, n)
        for k, n in [
            (0, 1), (1, 1), (0, 5), (5, 5), (1, 5), (3, 7), (10, 20), (1, 100), (99, 100), (180, 229),
            (640, 1319), (1, 10_000), (5_000, 10_000), (1, 1_000_000), (31_415, 1_000_000),
            (500_000, 1_000_000), (999_999, 1_000_000),
            (123_456_789, 1_000_000_000),
        ]
    ]
    + [single_success_case(1_000_000_000)],
    "slope_t": [
        slope_case("five seeds, log sizes", [(x, 0.7 * x + rng.normal(0, 0.1, 4)) for _ in range(5)]),
        slope_case(
            "different x per seed",
            [(rng.uniform(-1, 1, n), rng.uniform(-3, 3, n)) for n in (2, 3, 5, 8)],
        ),
    ],
    "student_t_quantile": [
        {"probability": p, "degrees_of_freedom": v, "quantile": float(stats.t.ppf(p, v))}
        for v in [1.0, 2.0, 3.0, 4.0, 4.5, 9.0, 29.0, 100.0, 1e3, 1e4, 99_999.0, 100_001.0, 1e6, 1e9]
        for p in [1e-6, 0.005, 0.025, 0.3, 0.6, 0.975, 0.999]
    ],
    "beta_quantile": [
        {"probability": p, "a": a, "b": b, "quantile": float(stats.beta.ppf(p, a, b))}
        for a, b in [(0.5, 0.5), (1.0, 1.0), (1.0, 10.0), (3.0, 8.0), (50.0, 51.0), (5e3, 5e3), (0.05, 7.0), (2.0, 1e6), (5e5, 5e5)]
        for p in [1e-6, 0.025, 0.5, 0.975]
    ],
    "quantile": [
        quantile_case([3.0, 1.0, 2.0], 0.5),
        quantile_case([3.0, 1.0, 2.0, 10.0], 0.5),
        quantile_case([7.0], 0.9),
    ]
    + [quantile_case(rng.normal(0, 1, 11), p) for p in (0.0, 0.1, 0.33, 0.95, 1.0)],
}

target = pathlib.Path("crates/numerics/tests/vectors/interval.json")
target.write_text(json.dumps(vectors, indent=1) + "\n")
print(f"wrote {target}")
