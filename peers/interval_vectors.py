"""Writes crates/numerics/tests/vectors/interval.json: intervals and quantiles computed by scipy and numpy.

Run from the root of the repository:  python peers/interval_vectors.py
With --coverage it writes nothing and prints instead how often four intervals of a mean over clusters cover the truth,
the comparison by which the cluster bootstrap was chosen (minutes).

Made with scipy 1.16.3, numpy 2.4.6 and mpmath 1.4.1. The inputs are drawn here and stored in the file, so the test needs no Python.
"""

import json
import pathlib
import sys

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


def cluster_intervals(sums, counts, resamples=1999):
    """Four intervals of sum(sums) / sum(counts): Student's t, studentised bootstrap, the wider of the two, BCa."""
    clusters, total = len(sums), counts.sum()
    mean = sums.sum() / total
    shrink = clusters / (clusters - 1)
    error = numpy.sqrt(shrink * ((sums - mean * counts) ** 2).sum()) / total
    weights = rng.multinomial(clusters, numpy.full(clusters, 1 / clusters), size=resamples)
    resampled_counts = weights @ counts
    means = (weights @ sums) / resampled_counts
    squares = weights @ sums**2 - 2 * means * (weights @ (sums * counts)) + means**2 * (weights @ counts**2)
    errors = numpy.sqrt(shrink * numpy.maximum(squares, 0)) / resampled_counts
    flat = squares <= 1e-12 * (weights @ sums**2)
    with numpy.errstate(all="ignore"):
        shifts = (means - mean) / errors
    shifts[flat] = numpy.where(
        numpy.abs(means - mean) < 1e-12, 0.0, numpy.copysign(numpy.inf, means - mean)
    )[flat]
    shifts.sort()
    rank = round(0.025 * (resamples + 1))
    low, high = shifts[rank - 1], shifts[-rank]
    t = stats.t.ppf(0.975, clusters - 1)
    means.sort()
    without_one = (sums.sum() - sums) / (total - counts)
    away = without_one.mean() - without_one
    spread = (away**2).sum() ** 1.5
    skew = (away**3).sum() / (6 * spread) if spread > 0 else 0.0
    level = (means < mean - 1e-12).mean() + (numpy.abs(means - mean) <= 1e-12).mean() / 2
    bias = stats.norm.ppf(min(max(level, 1 / (resamples + 1)), resamples / (resamples + 1)))
    ends = [stats.norm.cdf(bias + (bias + z) / (1 - skew * (bias + z))) for z in (-1.959964, 1.959964)]
    bca = [means[min(max(round(end * (resamples + 1)) - 1, 0), resamples - 1)] for end in ends]
    return {
        "t": (mean - t * error, mean + t * error),
        "studentised": (mean - high * error, mean - low * error),
        "wider": (mean - max(high, t) * error, mean - min(low, -t) * error),
        "BCa": bca,
    }


def draw_clusters(kind, clusters):
    """Sums, counts and the true mean."""
    counts = numpy.ones(clusters, int) if "one each" in kind else rng.integers(1, 9, clusters)
    if kind.startswith("normal"):
        return rng.normal(0, 1, clusters) * counts + rng.normal(0, 1, clusters) * numpy.sqrt(counts), counts, 0.0
    if kind.startswith("exponential"):
        return rng.exponential(1, clusters) * counts, counts, 1.0
    if kind.startswith("log-normal"):
        return numpy.exp(rng.normal(0, 1, clusters)) * counts, counts, numpy.exp(0.5)
    if kind.startswith("binary"):
        return rng.binomial(counts, rng.beta(0.5, 4.5, clusters)), counts, 0.1
    if kind.startswith("rare differences"):
        method, baseline = 0.6 * rng.beta(1, 3, clusters), rng.beta(0.5, 4.5, clusters)
        return rng.binomial(counts, method) - rng.binomial(counts, baseline), counts, 0.05
    difficulty = rng.uniform(0, 1, clusters)
    return rng.binomial(counts, 0.9 * difficulty) - rng.binomial(counts, 0.6 * difficulty), counts, 0.15


def print_coverage(replications=1500):
    for clusters in (20, 30, 60):
        for kind in (
            "normal",
            "exponential",
            "log-normal",
            "binary",
            "paired answers",
            "paired answers, one each",
            "rare differences, one each",
        ):
            covered = {}
            for _ in range(replications):
                sums, counts, truth = draw_clusters(kind, clusters)
                for name, (low, high) in cluster_intervals(sums.astype(float), counts.astype(float)).items():
                    covered[name] = covered.get(name, 0) + (low <= truth <= high)
            shares = "  ".join(f"{name} {100 * count / replications:.1f} %" for name, count in covered.items())
            print(f"{clusters} clusters, {kind}: {shares}", flush=True)


if "--coverage" in sys.argv:
    print_coverage()
    sys.exit()

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
