"""scipy's exact assignment, alone and inside our own transcription of the published coordinate descent, and rebasin, beside the program.

A request is {"peer": "scipy", "task": "assignment", "file": "costs.bin", "size": 2048, "repeat": 3}, or {"peer": "rebasin", "task":
"matching", "first": "a.bin", "second": "b.bin", "widths": [784, 512, 512, 512, 10], ...}: files of double precision, weights (outputs x
inputs) and bias of layer after layer. Rebasin traces the networks to find what may be permuted; that is part of its time. Times are
medians, after one round that warms up.
"""

import copy
import importlib.util

import contestant


def load():
    import numpy
    import scipy.optimize

    return numpy, scipy.optimize.linear_sum_assignment


def load_rebasin():
    """Only whether it is there: torch, loaded, would count as memory of scipy."""
    if importlib.util.find_spec("torch") is None or importlib.util.find_spec("rebasin") is None:
        raise ImportError("rebasin")


VERSIONS, LOADED = contestant.load({"scipy": ("scipy", load), "rebasin": ("rebasin", load_rebasin)})


def layers(numpy, file, widths):
    numbers, start, found = numpy.fromfile(file), 0, []
    for inputs, outputs in zip(widths, widths[1:]):
        weights = numbers[start : start + inputs * outputs].reshape(outputs, inputs)
        start += inputs * outputs
        found.append((weights, numbers[start : start + outputs]))
        start += outputs
    return found


def matching(numpy, assign, ours, theirs):
    """Coordinate descent: permutations in random order until none improves."""
    generator = numpy.random.default_rng(0)
    hidden = len(ours) - 1
    orders = [numpy.arange(len(bias)) for _, bias in ours]
    inputs = numpy.arange(ours[0][0].shape[1])
    for _ in range(300):
        improved = False
        for layer in generator.permutation(hidden):
            (weights, bias), (other, other_bias) = ours[layer], theirs[layer]
            before = orders[layer - 1] if layer > 0 else inputs
            gains = weights @ other[:, before].T + numpy.outer(bias, other_bias)
            gains += ours[layer + 1][0].T @ theirs[layer + 1][0][orders[layer + 1], :]
            order = assign(gains, maximize=True)[1]
            units = numpy.arange(len(order))
            if gains[units, order].sum() > gains[units, orders[layer]].sum() + 1e-9:
                orders[layer] = order
                improved = True
        if not improved:
            break
    square, before = 0.0, inputs
    for (weights, bias), (other, other_bias), order in zip(ours, theirs, orders):
        square += ((weights - other[order][:, before]) ** 2).sum() + ((bias - other_bias[order]) ** 2).sum()
        before = order
    return float(numpy.sqrt(square))


def network(torch, layers):
    """A perceptron with these weights."""
    modules = []
    for weights, bias in layers:
        linear = torch.nn.Linear(weights.shape[1], weights.shape[0], dtype=torch.float64)
        linear.weight.data, linear.bias.data = torch.from_numpy(weights.copy()), torch.from_numpy(bias.copy())
        modules += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*modules[:-1])


def rebased(torch, descent, ours, theirs):
    """The distance to the second network once rebasin has permuted it, which it does in place."""
    theirs = copy.deepcopy(theirs)
    descent(ours, theirs, torch.zeros(1, ours[0].in_features, dtype=torch.float64)).rebasin()
    pairs = zip(ours.parameters(), theirs.parameters())
    return float(sum(((own - other) ** 2).sum() for own, other in pairs).sqrt())


def answer(request):
    if request["peer"] == "rebasin":
        import torch
        from rebasin import PermutationCoordinateDescent as descent

        numpy = LOADED["scipy"][0]
        ours, theirs = (network(torch, layers(numpy, request[name], request["widths"])) for name in ("first", "second"))

        def work():
            return rebased(torch, descent, ours, theirs)

        work()
        seconds, value = contestant.timed(work, int(request["repeat"]))
        return seconds, {"value": value}
    numpy, assign = LOADED["scipy"]
    if request["task"] == "assignment":
        size = request["size"]
        costs = numpy.fromfile(request["file"]).reshape(size, size)

        def work():
            rows, columns = assign(costs)
            return float(costs[rows, columns].sum())

    else:
        ours, theirs = (layers(numpy, request[name], request["widths"]) for name in ("first", "second"))

        def work():
            return matching(numpy, assign, ours, theirs)

    work()
    seconds, value = contestant.timed(work, int(request["repeat"]))
    return seconds, {"value": value}


if __name__ == "__main__":
    contestant.serve(VERSIONS, answer)
