"""What a user would pick today instead of TOPO: linear DAGMA, and NOTEARS of gcastle where it imports.

Speaks JSON lines on stdin and stdout. First line out: {"ready": true, "peers": [...]}. For every line in,
{"peer": "dagma", "data": "table.csv", "repeat": 3}, one line out with the median time of the fit alone.
"""

import contextlib
import json
import os
import resource
import statistics
import sys
import time
from importlib.metadata import version

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


@contextlib.contextmanager
def silent():
    """Sends what the libraries print, from Python or from C, to nowhere."""
    sys.stdout.flush()
    sys.stderr.flush()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    kept = os.dup(1), os.dup(2)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    try:
        with open(os.devnull, "w") as sink, contextlib.redirect_stdout(sink), contextlib.redirect_stderr(sink):
            yield
    finally:
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        for descriptor in (nowhere, *kept):
            os.close(descriptor)


def say(message):
    print(json.dumps(message), flush=True)


def answer(request, peers):
    name = request["peer"]
    if name not in peers:
        raise ValueError(f"peer {name!r} is not here; here are {sorted(peers)}")
    repeat = int(request.get("repeat", 1))
    if repeat < 1:
        raise ValueError(f"repeat is {repeat}, but must be at least 1")
    samples = np.loadtxt(request["data"], delimiter=",", skiprows=1, ndmin=2, encoding="utf-8-sig")
    if not np.isfinite(samples).all():
        raise ValueError("the table has values that are not finite")
    found, fit = peers[name]
    seconds = []
    with silent():
        for _ in range(repeat):
            copy = samples.copy()
            start = time.perf_counter()
            weights = fit(copy)
            seconds.append(time.perf_counter() - start)
    # ru_maxrss is in kilobytes on Linux and in bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "peer": name,
        "version": found,
        "seconds": statistics.median(seconds),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
        "answer": {"weights": np.asarray(weights, dtype=float).tolist()},
    }


def main():
    peers = {}
    tiny = np.random.default_rng(0).normal(size=(50, 3))
    for name, (package, load) in LOADERS.items():
        try:
            with silent():
                fit = load()
                fit(tiny.copy())
            peers[name] = (version(package), fit)
        except Exception:  # A peer that does not import is left out: the ready line says which ones are here.
            continue
    say({"ready": True, "peers": [{"name": name, "version": found} for name, (found, _) in peers.items()]})
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            say(answer(json.loads(line), peers))
        except Exception as error:
            say({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
