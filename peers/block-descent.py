"""The lasso by scikit-learn, skglm and celer, and label propagation on a lattice by scipy.

A request of the first kind is {"peer": "celer", "work": "lasso", "data": "rows.txt", "features": 10000, "l1": 5e4, "positive": false,
"gap": 1e3, "repeat": 5}. The tolerance of a peer is the loosest power of ten at which the duality gap of its answer is at most the one
asked for; finding it warms up and is not timed, nor is reading. One of the second kind is {"peer": "scipy-cg", "work": "graph",
"data": "graph.json", "share": 1e-8, "repeat": 5}: the largest entry of Ax - b is to be at most that share of the largest of b; cg gets the
loosest tolerance, in halves, that reaches it.
"""

import contestant

import json

import numpy as np


def scikit_learn():
    from sklearn.linear_model import Lasso

    return Lasso


def skglm():
    from skglm import Lasso

    return Lasso


def celer():
    from celer import Lasso

    return Lasso


def scipy():
    import scipy.sparse.linalg

    return scipy.sparse.linalg


VERSIONS, LOADED = contestant.load(
    {
        "scikit-learn": ("scikit-learn", scikit_learn),
        "skglm": ("skglm", skglm),
        "celer": ("celer", celer),
        "scipy-cg": ("scipy", scipy),
        "scipy-spsolve": ("scipy", scipy),
    }
)


def duality_gap(rows, labels, l1, weights, positive):
    """Of ½|Ax - y|² + l1·|x|₁, at the residual scaled to a dual point."""
    residual = labels - rows @ weights
    slopes = rows.T @ residual
    largest = max(slopes.max() if positive else np.abs(slopes).max(), 1e-300)
    scale = min(1.0, l1 / largest)
    dual = scale * residual @ labels - 0.5 * scale**2 * residual @ residual
    return 0.5 * residual @ residual + l1 * np.abs(weights).sum() - dual


def lasso(request):
    from sklearn.datasets import load_svmlight_file

    rows, labels = load_svmlight_file(request["data"], n_features=int(request["features"]))
    rows = rows.tocsc()
    l1, wanted, positive = float(request["l1"]), float(request["gap"]), bool(request["positive"])
    make = LOADED[request["peer"]]
    alpha = l1 / len(labels)

    def fit(tolerance):
        options = {"alpha": alpha, "fit_intercept": False, "tol": tolerance, "positive": positive}
        options["max_iter"] = 100_000 if request["peer"] == "scikit-learn" else 1_000
        return make(**options).fit(rows, labels).coef_

    for power in range(1, 17):
        weights = fit(10.0**-power)
        gap = duality_gap(rows, labels, l1, weights, positive)
        if gap <= wanted:
            break
    else:
        raise ValueError(f"the gap is {gap} at the smallest tolerance, but {wanted} is wanted")
    seconds, weights = contestant.timed(lambda: fit(10.0**-power), int(request.get("repeat", 1)))
    objective = 0.5 * float(np.sum((labels - rows @ weights) ** 2)) + l1 * float(np.abs(weights).sum())
    return seconds, {"objective": objective, "gap": float(duality_gap(rows, labels, l1, weights, positive))}


def graph(request):
    import scipy.sparse

    with open(request["data"]) as file:
        data = json.load(file)
    linear = np.array(data["linear"])
    shape = (len(linear), len(linear))
    matrix = scipy.sparse.coo_matrix((data["values"], (data["rows"], data["columns"])), shape).tocsc()
    solver, share = LOADED[request["peer"]], float(request["share"])
    most = np.abs(linear).max()
    if request["peer"] == "scipy-spsolve":
        work = lambda: solver.spsolve(matrix, linear)
    else:
        rows, tolerance = matrix.tocsr(), 100 * share * most
        solve = lambda: solver.cg(rows, linear, rtol=0.0, atol=tolerance, maxiter=100_000)[0]
        while np.abs(rows @ solve() - linear).max() > share * most:
            tolerance /= 2
        work = solve
    work()
    seconds, solution = contestant.timed(work, int(request.get("repeat", 1)))
    return seconds, {"solution": solution.tolist(), "share": float(np.abs(matrix @ solution - linear).max() / most)}


def answer(request):
    return lasso(request) if request["work"] == "lasso" else graph(request)


if __name__ == "__main__":
    contestant.serve(VERSIONS, answer)
