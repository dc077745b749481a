"""Makes crates/optimize/tests/vectors/schedule-refinement.json: medians by scipy, refined schedules by the published formulas in numpy,
the sharper bound minimised by scipy, and the usual schedules by torch, transformers and optax.

    python schedule_refinement_vectors.py > ../crates/optimize/tests/vectors/schedule-refinement.json

The file was made with what requirements-schedule-refinement.txt pins, torch 2.15.0, transformers 5.23.0 and optax 0.2.8.
"""

import json

import numpy as np
import optax
import torch
import transformers
from scipy.ndimage import median_filter
from scipy.optimize import minimize


def smoothed(norms, smoothing):
    """The sliding median: reflected without the last value at the end, the first value repeated at the start."""
    width = 2 * (int(smoothing * len(norms)) // 2) + 1
    padded = np.concatenate([norms, norms[-2 : -2 - width : -1]])
    return width, median_filter(padded, size=width, mode="nearest")[: len(norms)]


def refined(norms, power):
    weights = norms**-power
    later = weights[::-1].cumsum()[::-1] - weights
    later[-1] = 0
    return weights * later / (weights * later).max()


def refinements():
    generator = np.random.default_rng(0)
    logs = {
        "spike": 1 + 9 * np.exp(-np.arange(120) / 10) + 0.3 * generator.uniform(size=120),
        "growing": np.linspace(1, 4, 83) * np.exp(0.5 * generator.normal(size=83)),
        "falling": np.linspace(4, 0.2, 60) * np.exp(0.5 * generator.normal(size=60)),
        "equal": np.full(16, 2.5),
        "ties": generator.integers(1, 6, size=90).astype(float),
    }
    cases = []
    for name, norms in logs.items():
        norms = norms.round(3)
        variants = []
        for power, smoothing in ((1, 0.1), (2, 0.1), (2, 0.3), (1, 0.0)):
            window, smooth = smoothed(norms, smoothing)
            variants.append({
                "power": power,
                "smoothing": smoothing,
                "window": window,
                "smoothed": smooth.tolist(),
                "multipliers": refined(smooth, power).tolist(),
            })
        cases.append({"name": name, "norms": norms.tolist(), "variants": variants})
    return cases


def bounds():
    """Minima of (D² + Σ s²G²)/(2S) + ½ Σ s_k/(S_k S_{k+1}) Σ_{t≥k} s_t²G_t² over steps s above 1e-8."""
    generator = np.random.default_rng(1)

    def bound(steps, norms, distance):
        sums = torch.flip(torch.cumsum(torch.flip(steps, (0,)), 0), (0,))
        squares = torch.flip(torch.cumsum(torch.flip((steps * norms) ** 2, (0,)), 0), (0,))
        tail = (steps[:-1] * squares[:-1] / (sums[:-1] * sums[1:])).sum()
        return (distance**2 + squares[0]) / (2 * sums[0]) + tail / 2

    cases = []
    for norms, distance in ((np.ones(30), 1.0), (1 + 5 * np.exp(-np.arange(40) / 5), 2.0), (np.exp(generator.normal(size=25)), 0.5)):
        held = torch.tensor(norms, dtype=torch.float64)

        def value(steps):
            variable = torch.tensor(steps, dtype=torch.float64, requires_grad=True)
            found = bound(variable, held, distance)
            found.backward()
            return found.item(), variable.grad.numpy()

        start = np.full(len(norms), distance / norms.mean() / np.sqrt(len(norms)))
        options = {"maxiter": 100_000, "maxfun": 100_000, "ftol": 1e-15, "gtol": 1e-12, "maxcor": 30}
        best = minimize(value, start, jac=True, method="L-BFGS-B", bounds=[(1e-8, None)] * len(norms), options=options)
        cases.append({
            "norms": norms.tolist(),
            "distance": distance,
            "start": start.tolist(),
            "bound_at_start": value(start)[0],
            "steps": best.x.tolist(),
            "bound": best.fun,
        })
    return cases


def of_torch(make, steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    rates = []
    for _ in range(steps):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return rates


def schedules():
    steps, warm_up = 100, 5
    after = steps - warm_up
    lr = torch.optim.lr_scheduler
    cases = [
        ("torch LinearLR", "linear", of_torch(lambda o: lr.LinearLR(o, 1.0, 0.0, steps), steps), 0),
        ("torch CosineAnnealingLR", "cosine", of_torch(lambda o: lr.CosineAnnealingLR(o, steps), steps), 0),
        ("torch PolynomialLR", "polynomial", of_torch(lambda o: lr.PolynomialLR(o, steps, power=2.5), steps), 0),
        ("torch MultiStepLR", "stepwise", of_torch(lambda o: lr.MultiStepLR(o, [30, 60, 90], 0.1), steps), 0),
        ("transformers linear", "linear",
         of_torch(lambda o: transformers.get_linear_schedule_with_warmup(o, warm_up, steps), steps), warm_up),
        ("transformers cosine", "cosine",
         of_torch(lambda o: transformers.get_cosine_schedule_with_warmup(o, warm_up, steps), steps), warm_up),
        ("transformers inverse square root", "inverse-square-root",
         of_torch(lambda o: transformers.get_inverse_sqrt_schedule(o, warm_up, timescale=after // 19), steps), warm_up),
    ]
    of_optax = {
        "cosine": optax.cosine_decay_schedule(1.0, steps),
        "polynomial": optax.polynomial_schedule(1.0, 0.0, 2.5, steps),
    }
    cases += [("optax", name, [float(schedule(step)) for step in range(steps)], 0) for name, schedule in of_optax.items()]
    return [{"source": source, "schedule": name, "warm_up": rise, "multipliers": rates} for source, name, rates, rise in cases]


if __name__ == "__main__":
    print(json.dumps({"refinements": refinements(), "bounds": bounds(), "schedules": schedules()}, separators=(",", ":")))
