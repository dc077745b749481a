"""Our own transcription of the published procedure in numpy: there is no package that searches minimax subsets.

Networks (one hidden layer of logistic units, their sizes), optimiser (Adam, rates, iterations, early stopping) and the
adversary's penalty of 0.01 on the norms of its layers are those of arXiv 2107.01876 and its released code. So that both sides
solve the same problem, the rest is as in the program: random starts, the mutable columns shuffled three times, residuals kept,
a small penalty on the weights of regressions, and maps bounded by reach * tanh. Gradients are written out where the released
code differentiates automatically with PyTorch. Classes are Algorithm 2 with one separating set tried per column.

A request is {"peer": "transcription", "task": "classes" or "judge", "data": "table.csv", "edges": [[0, 1]], "target": 1,
"environment": 0, "subset": [7], "reach": 3}; its time is that of the task alone.
"""

import contestant

from itertools import chain, combinations

import numpy as np

VERSION = f"numpy {np.__version__}"


class Network:
    """One hidden layer of logistic units."""

    def __init__(self, inputs, hidden, generator):
        scale = 1.5 / np.sqrt(max(1, inputs))
        self.w = [
            scale * generator.normal(size=(inputs, hidden)),
            scale * generator.normal(size=hidden),
            0.5 * generator.normal(size=hidden),
            0.5 * generator.normal(size=1),
        ]

    def forward(self, x):
        hidden = 1 / (1 + np.exp(-(x @ self.w[0] + self.w[1])))
        return hidden @ self.w[2] + self.w[3][0], hidden

    def backward(self, x, hidden, upstream):
        """Gradients by the weights and by the inputs."""
        by_hidden = np.outer(upstream, self.w[2]) * hidden * (1 - hidden)
        by_weights = [x.T @ by_hidden, by_hidden.sum(axis=0), hidden.T @ upstream, np.array([upstream.sum()])]
        return by_weights, by_hidden @ self.w[0].T


class Adam:
    def __init__(self, weights, rate):
        self.weights, self.rate, self.step = weights, rate, 0
        self.first = [np.zeros_like(w) for w in weights]
        self.second = [np.zeros_like(w) for w in weights]

    def update(self, gradients):
        self.step += 1
        for w, g, m, v in zip(self.weights, gradients, self.first, self.second):
            m += 0.1 * (g - m)
            v += 0.001 * (g * g - v)
            corrected = np.sqrt(v / (1 - 0.999**self.step)) + 1e-8
            w -= self.rate * (m / (1 - 0.9**self.step)) / corrected


class Patience:
    """The released early stopping: ends after so many checks without a change of 0.01."""

    def __init__(self, checks):
        self.checks, self.best, self.count = checks, None, 0

    def over(self, value):
        if self.best is None or abs(self.best - value) > 0.01:
            self.best, self.count = value, 0
        else:
            self.count += 1
        return self.count >= self.checks


DECAY = 3e-3


def regress(x, y, hidden, rate, iterations, patience, generator):
    network = Network(x.shape[1], hidden, generator)
    adam, stop = Adam(network.w, rate), Patience(patience)
    for _ in range(iterations):
        output, activations = network.forward(x)
        error = output - y
        if patience and stop.over(np.mean(error**2)):
            break
        gradients = network.backward(x, activations, 2 * error / len(y))[0]
        for place in (0, 2):
            gradients[place] = gradients[place] + 2 * DECAY * network.w[place]
        adam.update(gradients)
    return network


def parents_of(edges, node):
    return [a for a, b in edges if b == node]


def below(edges, of):
    found, fresh = set(), set(of)
    while fresh:
        fresh = {b for a, b in edges if a in fresh} - found
        found |= fresh
    return found


def topological(edges, nodes):
    order = []
    while len(order) < len(nodes):
        order += [
            n for n in nodes if n not in order and all(p in order for p in parents_of(edges, n) if p in nodes)
        ]
    return order


def judge(table, edges, target, environment, subset, reach):
    generator = np.random.default_rng(0)
    table = (table - table.mean(axis=0)) / table.std(axis=0, ddof=1)
    mutable = [b for a, b in edges if a == environment]
    inner = [(a, b) for a, b in edges if a != environment]
    regenerated = below([(a, b) for a, b in inner if b not in mutable], mutable) - set(mutable)
    equations, residuals = {}, {}
    for node in sorted(regenerated):
        p = parents_of(inner, node)
        equations[node] = regress(
            table[:, p], table[:, node], max(1, len(p) // 2), 0.01, 5000, 1000, generator
        )
        residuals[node] = table[:, node] - equations[node].forward(table[:, p])[0]
    columns = list(range(table.shape[1]))
    order = topological(inner, columns)

    copies = []
    for _ in range(3):
        copy = table.copy()
        copy[:, mutable] = table[generator.permutation(len(table))][:, mutable]
        for node in order:
            if node in regenerated:
                copy[:, node] = equations[node].forward(copy[:, parents_of(inner, node)])[0] + residuals[node]
        copies.append(copy)
    shuffled = np.concatenate(copies)
    inputs = sorted(set(subset) | set(mutable))
    predictor = regress(shuffled[:, inputs], shuffled[:, target], 12, 0.02, 10000, 0, generator)

    maps = {m: Network(len(parents_of(inner, m)), max(2, len(parents_of(inner, m)) // 2), generator) for m in mutable}
    weights = list(chain.from_iterable(maps[m].w for m in mutable))
    adam, stop = Adam(weights, 0.02), Patience(100)
    steps = [n for n in order if n in maps or n in regenerated]
    worst = -np.inf
    for iteration in range(10000):
        state, tape = table.copy(), {}
        for node in steps:
            x = state[:, parents_of(inner, node)]
            output, activations = (maps.get(node) or equations[node]).forward(x)
            state[:, node] = reach * np.tanh(output) if node in maps else output + residuals[node]
            tape[node] = (x, activations)
        guess, activations = predictor.forward(state[:, inputs])
        error = state[:, target] - guess
        risk = np.mean(error**2)
        if iteration % 10 == 0:
            worst = max(worst, risk)
            if stop.over(risk):
                break
        by_state = np.zeros_like(state)
        by_state[:, target] = -2 * error / len(error)
        by_state[:, inputs] += predictor.backward(state[:, inputs], activations, 2 * error / len(error))[1]
        gradients = {}
        for node in reversed(steps):
            x, activations = tape[node]
            slope = by_state[:, node].copy()
            by_state[:, node] = 0
            if node in maps:
                slope *= reach * (1 - (state[:, node] / reach) ** 2)
                gradients[node], by_input = maps[node].backward(x, activations, slope)
                for place in (0, 2):
                    norm = np.linalg.norm(maps[node].w[place])
                    gradients[node][place] = gradients[node][place] + 0.01 * maps[node].w[place] / norm
            else:
                _, by_input = equations[node].backward(x, activations, slope)
            by_state[:, parents_of(inner, node)] += by_input
        adam.update(list(chain.from_iterable(gradients[m] for m in mutable)))
    return {"risk": float(worst)}


def connected(edges, one, other, given):
    kept = set(given) | {one, other}
    while more := {a for a, b in edges if b in kept} - kept:
        kept |= more
    links = {n: set() for n in kept}
    for a, b in edges:
        if b in kept:
            for parent in parents_of(edges, b):
                for neighbour in [b, *parents_of(edges, b)]:
                    links[parent].add(neighbour)
                    links[neighbour].add(parent)
    reached, stack = {one}, [one]
    while stack:
        for neighbour in links[stack.pop()] - reached - set(given):
            reached.add(neighbour)
            stack.append(neighbour)
    return other in reached


def recover(edges, target, stable, latent, selected):
    observed = stable - latent - selected

    def adjacent(node):
        above = selected | {node, target}
        while more := {a for a, b in edges if b in above} - above:
            above |= more
        return connected(edges, node, target, ((above & observed) - {node}) | selected)

    around = {node for node in observed if adjacent(node)}
    if not around:
        return [2 ** len(observed)]
    sizes = []
    for kept in chain.from_iterable(combinations(sorted(around), n) for n in range(len(around) + 1)):
        kept = set(kept)
        sizes += recover(edges, target, stable, latent | (around - kept), selected | kept)
    return sizes


def classes(table, edges, target, environment):
    mutable = {b for a, b in edges if a == environment}
    stable = set(range(table.shape[1])) - mutable - {environment, target}
    inner = [(a, b) for a, b in edges if {a, b} <= stable | {target}]
    return {"sizes": sorted(recover(inner, target, stable, set(), set()))}


def answer(request):
    table = np.loadtxt(request["data"], delimiter=",", skiprows=1, ndmin=2)
    edges = [tuple(edge) for edge in request["edges"]]
    target, environment = request["target"], request["environment"]
    if request["task"] == "classes":
        return contestant.timed(lambda: classes(table, edges, target, environment))
    return contestant.timed(lambda: judge(table, edges, target, environment, request["subset"], request["reach"]))


if __name__ == "__main__":
    np.seterr(over="ignore")
    contestant.serve({"transcription": VERSION}, answer)
