"""What a user would pick today for joint samples and exact probabilities of a Bayes net: pgmpy.

Speaks JSON lines on stdin and stdout. First line out: {"ready": true, "peers": [...]}. For every line in,
{"peer": "pgmpy", "work": "sample" | "conditionals", "net": [...], "samples": 1000, "repeat": 1}, one line out with the median time.
"""

import json
import logging
import os
import resource
import statistics
import sys
import time
from importlib.metadata import version

import numpy as np


def build(variables):
    from pgmpy.factors.discrete import TabularCPD
    from pgmpy.models import DiscreteBayesianNetwork

    model = DiscreteBayesianNetwork([(p, v["name"]) for v in variables for p in v.get("parents", [])])
    model.add_nodes_from([v["name"] for v in variables])
    for variable in variables:
        parents = variable.get("parents", [])
        # Columns of the table run through the parents' values, the last one fastest.
        table = {tuple(int(x) for x in row[:-1]): row[-1] for row in variable["rows"]}
        true = [table[key] for key in np.ndindex(*[2] * len(parents))]
        values = [[1.0 - p for p in true], true]
        model.add_cpds(TabularCPD(variable["name"], 2, values, parents, [2] * len(parents)))
    model.check_model()
    return model


def sample(variables, model, size):
    from pgmpy.sampling import BayesianModelSampling

    frame = BayesianModelSampling(model).forward_sample(size=size, show_progress=False, seed=0)
    return lambda: summary(variables, frame)


def summary(variables, frame):
    column = {v["name"]: frame[v["name"]].to_numpy().astype(np.int64) for v in variables}
    edges = [(p, v["name"]) for v in variables for p in v.get("parents", [])]
    return {
        "marginals": [float(column[v["name"]].mean()) for v in variables],
        "edges": [float((column[p] & column[c]).mean()) for p, c in edges],
    }


def conditionals(variables, model):
    from pgmpy.inference import VariableElimination

    names = [v["name"] for v in variables]
    engine = VariableElimination(model)
    rows = [[None] * len(names) for _ in names]
    for i, a in enumerate(names):
        for j in range(i + 1, len(names)):
            # One joint serves both directions, as on our side.
            factor = engine.query([a, names[j]], show_progress=False)
            joint = factor.values if factor.variables[0] == a else factor.values.T
            for x, y, both, other in ((i, j, joint[1, 1], joint[0, 1]), (j, i, joint[1, 1], joint[1, 0])):
                if both + other > 0:
                    rows[x][y] = float(both / (both + other))
    return lambda: {"conditionals": rows}


def say(message, out):
    out.write(json.dumps(message) + "\n")
    out.flush()


def answer(request, peers):
    name = request["peer"]
    if name not in peers:
        raise ValueError(f"peer {name!r} is not here; here are {sorted(peers)}")
    repeat = int(request.get("repeat", 1))
    if repeat < 1:
        raise ValueError(f"repeat is {repeat}, but must be at least 1")
    variables = request["net"]
    model = build(variables)
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        if request["work"] == "sample":
            result = sample(variables, model, int(request["samples"]))
        elif request["work"] == "conditionals":
            result = conditionals(variables, model)
        else:
            raise ValueError(f"no work {request['work']!r}")
        seconds.append(time.perf_counter() - start)
    # ru_maxrss is in kilobytes on Linux and in bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "peer": name,
        "version": peers[name],
        "seconds": statistics.median(seconds),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
        "answer": result(),
    }


def main():
    # What libraries print must not reach the channel.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    logging.disable(logging.WARNING)
    peers = {}
    tiny = [{"name": "a", "rows": [[0.5]]}, {"name": "b", "parents": ["a"], "rows": [[0, 0.2], [1, 0.9]]}]
    try:
        model = build(tiny)
        sample(tiny, model, 10)()
        conditionals(tiny, model)()
        peers["pgmpy"] = version("pgmpy")
    except Exception:  # A peer that does not import is left out: the ready line says which ones are here.
        pass
    say({"ready": True, "peers": [{"name": name, "version": found} for name, found in peers.items()]}, out)
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            say(answer(json.loads(line), peers), out)
        except Exception as error:
            say({"error": f"{type(error).__name__}: {error}"}, out)


if __name__ == "__main__":
    main()
