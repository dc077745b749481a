"""scipy's exact assignment, alone and inside our own transcription of the published coordinate descent, beside the program.

A request is {"peer": "scipy", "task": "assignment", "file": "costs.bin", "size": 2048, "repeat": 3}, or {"task": "matching", "first":
"a.bin", "second": "b.bin", "widths": [784, 512, 512, 512, 10], ...}: files of double precision, weights (outputs x inputs) and bias of
layer after layer. Its time is the median, after one round that warms up.
"""

import contestant


def load():
    import numpy
    import scipy.optimize

    return numpy, scipy.optimize.linear_sum_assignment


VERSIONS, LOADED = contestant.load({"scipy": ("scipy", load)})


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


def answer(request):
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
