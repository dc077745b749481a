"""Makes crates/optimize/tests/vectors/ef21-w.json: constants by dense eigenvalues, rounds by a plain numpy transcription.

    python ef21_w_vectors.py > ../crates/optimize/tests/vectors/ef21-w.json
"""

import json

import numpy as np


def rows(generator, count, features, signed):
    dense = generator.normal(size=(count, features)) if signed else generator.uniform(0.1, 2, size=(count, features))
    dense[generator.uniform(size=dense.shape) < 0.6] = 0
    # Clients of different smoothness.
    return np.round(dense * np.linspace(0.2, 4, count)[:, None], 3)


def objective(loss, regulariser, strength, rows, labels):
    """Gradient and smoothness of one client."""
    count = len(labels)

    def gradient(x):
        z = rows @ x
        slope = -labels / (1 + np.exp(labels * z)) if loss == "logistic" else 2 * (z - labels)
        extra = strength * x if regulariser == "ridge" else 2 * strength * x / (1 + x**2) ** 2
        return rows.T @ slope / count + extra

    curvature = 0.25 if loss == "logistic" else 2.0
    largest = np.linalg.eigvalsh(rows.T @ rows).max()
    return gradient, curvature * largest / count + (strength if regulariser == "ridge" else 2 * strength)


def smoothness_of_mean(loss, regulariser, strength, parts):
    curvature = 0.25 if loss == "logistic" else 2.0
    mean = sum(rows.T @ rows / len(rows) for rows in parts) / len(parts)
    return curvature * np.linalg.eigvalsh(mean).max() + (strength if regulariser == "ridge" else 2 * strength)


def top(vector, count):
    kept = np.zeros_like(vector)
    chosen = np.argsort(-np.abs(vector), kind="stable")[:count]
    kept[chosen] = vector[chosen]
    return kept


def run(algorithm, clients, weights, step, count, rounds, features):
    n = len(clients)
    share = weights if algorithm == "ef21-w" else np.full(n, 1 / n)
    factor = 1 / (n * weights) if algorithm == "ef21-w" else np.ones(n)
    x = np.zeros(features)
    squares = []
    measure = lambda: squares.append(float(np.sum((sum(g(x) for g in clients) / n) ** 2)))
    measure()
    if algorithm in ("ef21", "ef21-w"):
        estimates = [f * g(x) for f, g in zip(factor, clients)]
        for _ in range(rounds):
            x = x - step * sum(w * e for w, e in zip(share, estimates))
            for i, g in enumerate(clients):
                estimates[i] = estimates[i] + top(factor[i] * g(x) - estimates[i], count)
            measure()
    elif algorithm == "ef14":
        memories = [np.zeros(features) for _ in clients]
        for _ in range(rounds):
            wanted = [m + step * g(x) for m, g in zip(memories, clients)]
            sent = [top(v, count) for v in wanted]
            memories = [v - u for v, u in zip(wanted, sent)]
            x = x - sum(sent) / n
            measure()
    elif algorithm == "dcgd":
        for _ in range(rounds):
            x = x - step * sum(top(g(x), count) for g in clients) / n
            measure()
    return x.tolist(), squares


def case(seed, loss, regulariser, strength, signed, count):
    generator = np.random.default_rng(seed)
    n, features, each, rounds = 5, 7, 9, 40
    data = rows(generator, n * each, features, signed)
    labels = np.where(generator.uniform(size=n * each) < 0.5, -1.0, 1.0)
    if loss == "least-squares":
        labels = np.round(generator.normal(size=n * each), 3)
    parts = [slice(i * each, (i + 1) * each) for i in range(n)]
    made = [objective(loss, regulariser, strength, data[p], labels[p]) for p in parts]
    clients, constants = [g for g, _ in made], np.array([c for _, c in made])
    of_mean = smoothness_of_mean(loss, regulariser, strength, [data[p] for p in parts])
    alpha = count / features
    xi = (1 + np.sqrt(1 - alpha)) / alpha - 1
    step = 1 / (of_mean + constants.mean() * xi)
    weights = constants / constants.sum()
    algorithms = {}
    for name in ("ef21", "ef21-w", "ef14", "dcgd"):
        point, squares = run(name, clients, weights, step, count, rounds, features)
        algorithms[name] = {"point": point, "squared_gradients": squares}
    return {
        "loss": loss,
        "regulariser": regulariser,
        "strength": strength,
        "clients": n,
        "top": count,
        "rows": data.tolist(),
        "labels": labels.tolist(),
        "smoothness": constants.tolist(),
        "smoothness_of_mean": float(of_mean),
        "quadratic_mean": float(np.sqrt((constants**2).mean())),
        "new_step": float(step),
        "old_step": float(1 / (of_mean + np.sqrt((constants**2).mean()) * xi)),
        "rounds": rounds,
        "algorithms": algorithms,
    }


def main():
    cases = [
        case(1, "logistic", "bounded", 0.001, False, 1),
        case(2, "logistic", "ridge", 0.1, True, 2),
        case(3, "least-squares", "ridge", 0.05, True, 1),
        case(4, "least-squares", "bounded", 0.2, False, 3),
    ]
    print(json.dumps({"cases": cases}, separators=(",", ":")))


if __name__ == "__main__":
    main()
