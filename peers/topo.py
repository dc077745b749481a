"""What a user would pick today instead of TOPO: linear DAGMA, and NOTEARS of gcastle where it imports.

A request is {"peer": "dagma", "data": "table.csv", "repeat": 3}; its time is the median of the fit alone.
"""

import contestant

import numpy as np


def load_dagma():
    from dagma.linear import DagmaLinear

    # The package centres the array it is given in place, so it gets its own copy, made before the clock starts.
    return lambda samples: DagmaLinear(loss_type="l2").fit(samples)


def load_notears():
    from castle.algorithms import Notears

    def fit(samples):
        # The package scores raw second moments; centring makes it the same problem as the others.
        model = Notears()
        model.learn(samples - samples.mean(axis=0))
        return np.asarray(model.weight_causal_matrix)

    return fit


LOADERS = {"dagma": ("dagma", load_dagma), "gcastle-notears": ("gcastle", load_notears)}


def warm(loader):
    def load():
        fit = loader()
        fit(np.random.default_rng(0).normal(size=(50, 3)))
        return fit

    return load


def main():
    versions, fits = contestant.load({name: (package, warm(loader)) for name, (package, loader) in LOADERS.items()})

    def answer(request):
        samples = np.loadtxt(request["data"], delimiter=",", skiprows=1, ndmin=2, encoding="utf-8-sig")
        if not np.isfinite(samples).all():
            raise ValueError("the table has values that are not finite")
        repeat = int(request.get("repeat", 1))
        copies = iter([samples.copy() for _ in range(repeat)])
        seconds, weights = contestant.timed(lambda: fits[request["peer"]](next(copies)), repeat)
        return seconds, {"weights": np.asarray(weights, dtype=float).tolist()}

    contestant.serve(versions, answer)


if __name__ == "__main__":
    main()
