"""What a user would pick today for joint samples and exact probabilities of a Bayes net: pgmpy.

A request is {"peer": "pgmpy", "work": "sample" | "conditionals", "net": [...], "samples": 1000}.
"""

import contestant

import logging

import numpy as np

logging.disable(logging.WARNING)


def load():
    tiny = [{"name": "a", "rows": [[0.5]]}, {"name": "b", "parents": ["a"], "rows": [[0, 0.2], [1, 0.9]]}]
    model = build(tiny)
    sample(model, 10)
    conditionals(tiny, model)


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


def sample(model, size):
    from pgmpy.sampling import BayesianModelSampling

    return BayesianModelSampling(model).forward_sample(size=size, show_progress=False, seed=0)


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
    return {"conditionals": rows}


def answer(request):
    variables = request["net"]
    model = build(variables)
    if request["work"] == "sample":
        seconds, frame = contestant.timed(lambda: sample(model, int(request["samples"])))
        return seconds, summary(variables, frame)
    if request["work"] == "conditionals":
        return contestant.timed(lambda: conditionals(variables, model))
    raise ValueError(f"no work {request['work']!r}")


if __name__ == "__main__":
    versions, _ = contestant.load({"pgmpy": ("pgmpy", load)})
    contestant.serve(versions, answer)
