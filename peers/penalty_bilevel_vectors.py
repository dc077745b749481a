"""Makes crates/optimize/tests/vectors/penalty-bilevel.json: hypergradients by implicit differentiation in numpy, in double precision.

    python penalty_bilevel_vectors.py > ../crates/optimize/tests/vectors/penalty-bilevel.json

The lower level is solved by Newton's method on whole Hessians; each hypergradient is held to central differences of the upper loss.
"""

import json

import numpy as np


def rows(generator, count, features):
    dense = generator.normal(size=(count, features))
    dense[generator.uniform(size=dense.shape) < 0.3] = 0
    return np.round(dense, 3)


def minimise(gradient, hessian, length):
    y = np.zeros(length)
    for _ in range(50):
        step = np.linalg.solve(hessian(y), gradient(y))
        # Damped while far away.
        y = y - step / max(1.0, np.linalg.norm(step))
        if np.linalg.norm(step) < 1e-13:
            break
    return y


class Selection:
    """Mean loss plus half the sum of exp(x) w^2, judged by the mean loss of other rows."""

    def __init__(self, loss, training, validation):
        self.loss, self.training, self.validation = loss, training, validation

    def slope_and_curvature(self, z, labels):
        if self.loss == "least-squares":
            return 2 * (z - labels), np.full(len(z), 2.0)
        share = 1 / (1 + np.exp(labels * z))
        return -labels * share, share * (1 - share)

    def mean_loss(self, y):
        a, labels = self.validation
        z = a @ y
        return float(np.mean((z - labels) ** 2 if self.loss == "least-squares" else np.logaddexp(0, -labels * z)))

    def solve(self, x):
        a, labels = self.training
        penalty = np.exp(x)
        gradient = lambda y: a.T @ self.slope_and_curvature(a @ y, labels)[0] / len(labels) + penalty * y
        hessian = lambda y: (a.T * self.slope_and_curvature(a @ y, labels)[1]) @ a / len(labels) + np.diag(penalty)
        y = minimise(gradient, hessian, a.shape[1])
        return y, hessian(y)

    def hypergradient(self, x):
        y, hessian = self.solve(x)
        a, labels = self.validation
        right = a.T @ self.slope_and_curvature(a @ y, labels)[0] / len(labels)
        return y, -np.exp(x) * y * np.linalg.solve(hessian, right)

    def upper(self, x):
        return self.mean_loss(self.solve(x)[0])


class Cleaning:
    """Mean of sigmoid(x) times the softmax loss plus a ridge, judged by the softmax loss of other rows."""

    def __init__(self, training, validation, classes, ridge):
        self.training, self.validation, self.classes, self.ridge = training, validation, classes, ridge

    def probabilities(self, a, y):
        z = a @ y.reshape(a.shape[1], self.classes)
        z = np.exp(z - z.max(axis=1, keepdims=True))
        return z / z.sum(axis=1, keepdims=True)

    def row_gradients(self, a, labels, y):
        slope = self.probabilities(a, y) - np.eye(self.classes)[labels]
        return (a[:, :, None] * slope[:, None, :]).reshape(len(a), -1)

    def solve(self, x):
        a, labels = self.training
        share = 1 / (1 + np.exp(-x)) / len(a)
        length = a.shape[1] * self.classes

        def hessian(y):
            p = self.probabilities(a, y)
            total = self.ridge * np.eye(length)
            for row, weight, probability in zip(a, share, p):
                covariance = np.diag(probability) - np.outer(probability, probability)
                total += weight * np.kron(np.outer(row, row), covariance)
            return total

        gradient = lambda y: share @ self.row_gradients(a, labels, y) + self.ridge * y
        y = minimise(gradient, hessian, length)
        return y, hessian(y)

    def hypergradient(self, x):
        y, hessian = self.solve(x)
        a, labels = self.validation
        right = self.row_gradients(a, labels, y).mean(axis=0)
        a, labels = self.training
        weight = 1 / (1 + np.exp(-x))
        cross = (weight * (1 - weight) / len(a))[:, None] * self.row_gradients(a, labels, y)
        return y, -cross @ np.linalg.solve(hessian, right)

    def upper(self, x):
        a, labels = self.validation
        p = self.probabilities(a, self.solve(x)[0])
        return float(-np.log(p[np.arange(len(a)), labels]).mean())


def checked(problem, x):
    y, gradient = problem.hypergradient(x)
    step = 1e-5
    differences = []
    for place in range(len(x)):
        moved = np.zeros(len(x))
        moved[place] = step
        differences.append((problem.upper(x + moved) - problem.upper(x - moved)) / (2 * step))
    if not np.allclose(gradient, differences, rtol=1e-6, atol=1e-9):
        raise ValueError("the hypergradient is not that of central differences")
    return {"x": x.tolist(), "y": y.tolist(), "upper_value": problem.upper(x), "hypergradient": gradient.tolist()}


def table(a, labels):
    return {"rows": a.tolist(), "labels": np.asarray(labels).tolist()}


def main():
    cases = []
    for seed, loss in ((1, "least-squares"), (2, "logistic")):
        generator = np.random.default_rng(seed)
        training, validation = rows(generator, 30, 5), rows(generator, 20, 5)
        scores = [a @ generator.normal(size=5) + generator.normal(size=len(a)) for a in (training, validation)]
        if loss == "logistic":
            labels = [np.where(score > 0, 1.0, -1.0) for score in scores]
        else:
            labels = [np.round(score, 3) for score in scores]
        problem = Selection(loss, (training, labels[0]), (validation, labels[1]))
        found = checked(problem, np.round(generator.normal(size=5) - 2, 3))
        cases.append({"problem": loss, "training": table(training, labels[0]), "validation": table(validation, labels[1]), **found})
    generator = np.random.default_rng(3)
    training, validation = rows(generator, 24, 4), rows(generator, 16, 4)
    weights = generator.normal(size=(4, 3))
    labels = [np.argmax(a @ weights + generator.normal(size=(len(a), 3)), axis=1) for a in (training, validation)]
    problem = Cleaning((training, labels[0]), (validation, labels[1]), 3, 0.02)
    found = checked(problem, np.round(generator.normal(size=24), 3))
    cases.append(
        {
            "problem": "cleaning",
            "ridge": 0.02,
            "classes": 3,
            "training": table(training, labels[0]),
            "validation": table(validation, labels[1]),
            **found,
        }
    )
    print(json.dumps({"cases": cases}, separators=(",", ":")))


if __name__ == "__main__":
    main()
