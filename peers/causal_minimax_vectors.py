"""Makes crates/statistics/tests/vectors/causal-minimax.json: classes by the definition, and a linear model by quadrature.

Classes: V and Y are adjacent in the maximal ancestral graph if no subset of all observed columns separates them given the
selected ones. Here every subset is tried, and d-separation is decided on the moralised ancestral graph. The program itself
tries one subset and walks along open paths; it has to find the same classes.

Worst-case risk: for a linear model with Gaussian noise and one mutable column, the worst bounded map is searched on a grid of
values per value of the parents' prediction, and integrated over that by Gauss-Hermite quadrature. No formula of the program is used.

    python3 peers/causal_minimax_vectors.py > crates/statistics/tests/vectors/causal-minimax.json
"""

import json
from itertools import chain, combinations

import numpy as np


def subsets(items):
    items = sorted(items)
    return chain.from_iterable(combinations(items, size) for size in range(len(items) + 1))


def ancestors(edges, of):
    found = set(of)
    while True:
        more = {a for a, b in edges if b in found} - found
        if not more:
            return found
        found |= more


def separated(edges, one, other, given):
    """d-separation on the moral graph of the ancestors."""
    kept = ancestors(edges, {one, other} | given)
    inside = [(a, b) for a, b in edges if a in kept and b in kept]
    links = {frozenset(edge) for edge in inside}
    for child in kept:
        for pair in combinations([a for a, b in inside if b == child], 2):
            links.add(frozenset(pair))
    reached, stack = {one}, [one]
    while stack:
        node = stack.pop()
        for link in links:
            if node in link:
                (neighbour,) = link - {node}
                if neighbour not in given and neighbour not in reached:
                    reached.add(neighbour)
                    stack.append(neighbour)
    return other not in reached


def classes(edges, target, stable, latent=frozenset(), selected=frozenset()):
    observed = stable - latent - selected
    adjacent = {
        v
        for v in observed
        if not any(
            separated(edges, v, target, set(between) | selected) for between in subsets(observed - {v})
        )
    }
    if not adjacent:
        return [[sorted(selected), sorted(observed)]]
    found = []
    for kept in subsets(adjacent):
        kept = frozenset(kept)
        found += classes(edges, target, stable, latent | (adjacent - kept), selected | kept)
    return found


def class_case(name, columns, edges, target):
    stable = frozenset(range(columns)) - {target}
    found = classes(edges, target, stable)
    assert sum(2 ** len(optional) for _, optional in found) == 2 ** (columns - 1)
    found.sort(key=lambda case: (len(case[0]), sum(1 << v for v in case[0])))
    return {"name": name, "columns": columns, "edges": edges, "target": target, "classes": found}


def simulation():
    """The stable graph of the published simulation; column 0 is Y, columns 1 to 8 are X1 to X8. Its classes were checked
    against the 45 that the authors published: equal numbers of members."""
    edges = [(0, 1), (1, 3), (3, 2), (2, 4), (5, 1), (6, 1), (6, 5), (7, 4), (8, 2), (8, 4), (8, 7)]
    return class_case("published simulation", 9, edges, 0)


def random_graphs(generator):
    for case in range(6):
        columns = 6
        order = generator.permutation(columns)
        edges = [
            (int(order[i]), int(order[j]))
            for i in range(columns)
            for j in range(i + 1, columns)
            if generator.random() < 0.4
        ]
        yield class_case(f"random {case}", columns, edges, 0)


def linear_case(generator, subset):
    """E is left out: columns are Y, P (a cause of M), M, X (a child of Y and M), Z (a child of X)."""
    weights = np.zeros((5, 5))
    for i, j in [(0, 1), (0, 2), (1, 2), (0, 3), (2, 3), (3, 4)]:
        weights[i, j] = generator.uniform(0.5, 1.5) * generator.choice([-1, 1])
    noise = generator.uniform(0.5, 1.5, 5)
    bound = 2.5
    cut = weights.copy()
    cut[:, 2] = 0.0
    mix = np.linalg.inv(np.eye(5) - cut).T  # column = mix @ noise, the mutable column's own noise being its value
    spread = noise.copy()
    spread[2] = 1.7  # of no consequence
    covariance = mix @ np.diag(spread**2) @ mix.T
    inputs = sorted(subset) + [2]
    coefficients = np.zeros(5)
    coefficients[inputs] = np.linalg.solve(covariance[np.ix_(inputs, inputs)], covariance[inputs, 0])
    # A predictor that is not the best one: the best one leaves the mutable column no hold.
    attacked = coefficients + generator.uniform(-0.3, 0.3, 5) * (np.arange(5) > 0)
    error = (np.eye(5)[0] - attacked) @ mix
    push = error[2]
    error = error.copy()
    error[2] = 0.0
    # The error's mean given the parents Y and P of M is N(0, s^2); the rest of its variance is left.
    parents = mix[[0, 1]].copy()
    fixed = np.diag(np.where(np.arange(5) == 2, 0.0, noise) ** 2)
    gain = np.linalg.solve(parents @ fixed @ parents.T, parents @ fixed @ error)
    total = error @ fixed @ error
    explained = gain @ parents @ fixed @ parents.T @ gain
    # Composite rule on a fine grid: the integrand has a kink, which Gauss-Hermite would blur.
    grid = np.linspace(-9, 9, 200001)
    density = np.exp(-grid**2 / 2) / np.sqrt(2 * np.pi)
    values = np.linspace(-bound, bound, 51)
    mean = np.sqrt(explained) * grid
    worst = np.max((mean[:, None] + push * values[None, :]) ** 2, axis=1)
    risk = np.trapezoid(worst * density, grid) + (total - explained)
    return {
        "weights": weights.tolist(),
        "noise": noise.tolist(),
        "target": 0,
        "mutable": 2,
        "subset": sorted(subset),
        "bound": bound,
        "coefficients": coefficients.tolist(),
        "attacked": attacked.tolist(),
        "worst_case_risk": float(risk),
    }


def main():
    generator = np.random.default_rng(20230701)
    cases = [simulation(), *random_graphs(generator)]
    linear = [linear_case(generator, subset) for subset in [[], [1], [3], [4], [1, 3], [1, 3, 4]]]
    print(json.dumps({"classes": cases, "linear": linear}))


if __name__ == "__main__":
    main()
