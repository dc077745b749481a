"""Makes crates/optimize/tests/vectors/block-descent.json: coefficients by scikit-learn, node values by numpy.

    python block_descent_vectors.py > ../crates/optimize/tests/vectors/block-descent.json
"""

import json
import warnings

import numpy as np
from sklearn.linear_model import Lasso, LogisticRegression

warnings.filterwarnings("ignore")


def rows(generator, count, features):
    dense = generator.normal(size=(count, features)) * np.linspace(0.5, 3, features)
    dense[generator.uniform(size=dense.shape) < 0.5] = 0
    weights = np.where(np.arange(features) % 3 == 0, generator.normal(size=features), 0)
    dense = np.round(dense, 3)
    return dense, np.round(dense @ weights + generator.normal(size=count), 3)


def lasso(dense, labels, strength, positive):
    model = Lasso(alpha=strength / len(labels), fit_intercept=False, tol=1e-15, max_iter=1_000_000, positive=positive)
    return model.fit(dense, labels).coef_


def logistic(dense, labels, strength, penalty):
    if penalty == "l1":
        model = LogisticRegression(
            C=1 / strength, l1_ratio=1, solver="saga", fit_intercept=False, tol=1e-14, max_iter=1_000_000
        )
    else:
        model = LogisticRegression(C=1 / strength, solver="newton-cg", fit_intercept=False, tol=1e-14, max_iter=10_000)
    return model.fit(dense, labels).coef_


def case(name, dense, labels, **more):
    return {"name": name, "rows": dense.tolist(), "labels": labels.tolist(), **more}


def lattice(generator, side, labelled):
    nodes = [(x, y) for x in range(side) for y in range(side)]
    edges = []
    for one, (x, y) in enumerate(nodes):
        for other, (u, v) in enumerate(nodes):
            if one < other and abs(x - u) + abs(y - v) == 1:
                edges.append([one, other, round(float(generator.uniform(0.5, 2)), 3)])
    chosen = generator.permutation(len(nodes))[:labelled]
    labels = [[int(node), round(float(generator.normal() * 10), 3)] for node in chosen]
    laplacian = np.zeros((len(nodes), len(nodes)))
    for one, other, weight in edges:
        laplacian[one, one] += weight
        laplacian[other, other] += weight
        laplacian[one, other] -= weight
        laplacian[other, one] -= weight
    values = np.zeros(len(nodes))
    for node, value in labels:
        values[node] = value
    unknown = [node for node in range(len(nodes)) if node not in chosen]
    known = [node for node, _ in labels]
    values[unknown] = np.linalg.solve(
        laplacian[np.ix_(unknown, unknown)], -laplacian[np.ix_(unknown, known)] @ values[known]
    )
    return {"nodes": len(nodes), "edges": edges, "labels": labels, "values": values.tolist()}


generator = np.random.default_rng(0)
cases = []
for count, features in [(40, 12), (25, 60)]:
    dense, labels = rows(generator, count, features)
    largest = float(np.abs(dense.T @ labels).max())
    for share in [0.3, 0.05]:
        for positive in [False, True]:
            weights = lasso(dense, labels, share * largest, positive)
            cases.append(case("lasso", dense, labels, l1=share * largest, positive=positive, weights=weights.tolist()))
    signs = np.where(labels > 0, 1.0, -1.0)
    cases.append(case("logistic", dense, signs, l1=2.0, ridge=0.0, weights=logistic(dense, signs, 2.0, "l1")[0].tolist()))
    cases.append(case("logistic", dense, signs, l1=0.0, ridge=1.5, weights=logistic(dense, signs, 1.5, "l2")[0].tolist()))
    classes = np.digitize(labels, np.quantile(labels, [0.3, 0.6])).astype(float)
    weights = logistic(dense, classes, 1.5, "l2").T.reshape(-1)
    cases.append(case("softmax", dense, classes, l1=0.0, ridge=1.5, weights=weights.tolist()))
print(json.dumps({"cases": cases, "graphs": [lattice(generator, 6, 4), lattice(generator, 9, 8)]}))
