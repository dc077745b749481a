"""The published formulas of exact-permutations in numpy: our own transcription, for vectors and for the bench.

Kernels of one hidden layer of ReLUs without biases, solved numerically; numbers of models from Gaussian tails; one
real network trained by full-batch gradient descent.
"""

import math

import numpy as np


def kernels(one, other):
    """The kernel of the hidden features and the neural tangent kernel of two sets of vectors (rows)."""
    length = one.shape[1]
    sizes = np.linalg.norm(one, axis=1)[:, None] * np.linalg.norm(other, axis=1)[None, :]
    products = one @ other.T
    cosines = np.clip(products / sizes, -1.0, 1.0)
    angles = np.arccos(cosines)
    features = sizes / length / (2 * np.pi) * (np.sin(angles) + (np.pi - angles) * cosines)
    first_layer = products / length * (np.pi - angles) / (2 * np.pi)
    return features, features + first_layer


def posterior(features, training, train, test):
    """Means (rows of weights on the targets) and covariance after training to the end, given kernel functions."""
    weights = np.linalg.solve(training(train, train), training(train, test)).T
    cross = weights @ features(train, test)
    covariance = features(test, test) - cross - cross.T + weights @ features(train, train) @ weights.T
    return weights, covariance


def numpy_posterior(train, test, parametrisation):
    chosen = 1 if parametrisation == "ntk" else 0
    return posterior(lambda a, b: kernels(a, b)[0], lambda a, b: kernels(a, b)[chosen], train, test)


def inputs_of(length, counts):
    """The first m bits set, divided by the root of m, for every m in counts."""
    rows = np.zeros((len(counts), length))
    for row, count in enumerate(counts):
        rows[row, :count] = 1 / math.sqrt(count)
    return rows


def upper_tail(z):
    return math.erfc(z / math.sqrt(2)) / 2


def error(off, on, variance, ones, length, models, cut=0.0):
    """Probability that the average of `models` networks has a wrong bit."""
    deviation = math.sqrt(variance / models)
    right = ones * math.log1p(-upper_tail((on - cut) / deviation))
    if ones < length:
        right += (length - ones) * math.log1p(-upper_tail((cut - off) / deviation))
    return -math.expm1(right)


def models_for(wanted, error_of):
    """The smallest number of models with at most this error."""
    enough = 1
    while error_of(enough) > wanted:
        enough *= 2
    too_few = enough // 2
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        if error_of(middle) <= wanted:
            enough = middle
        else:
            too_few = middle
    return enough


def theory(length, wanted, solve):
    """What the bench asks: means, variances and numbers of models for 2 to k ones."""
    counts = list(range(2, length + 1))
    weights, covariance = solve(np.eye(length), inputs_of(length, counts))
    off = [float(row[-1]) if count < length else 0.0 for row, count in zip(weights, counts)]
    on = [float(row[0]) for row in weights]
    variance = [float(value) for value in np.diag(covariance)]
    models = [
        models_for(wanted, lambda n, a=a, b=b, v=v, m=m: error(a, b, v, m, length, n))
        for a, b, v, m in zip(off, on, variance, counts)
    ]
    return {"off": off, "on": on, "variance": variance, "models": models}


def train(length, width, steps, generator, rate=0.5):
    """One network f(x) = W2 relu(W1 x / sqrt k) / sqrt n on the basis vectors; targets are the basis vectors."""
    hidden = generator.normal(size=(width, length))
    readout = generator.normal(size=(length, width))
    c = 1 / (2 * math.pi)
    smallest = (1 - c) / length
    eta = rate * 2 / (2 * smallest + c)
    hidden_scale, readout_scale = 1 / math.sqrt(length), 1 / math.sqrt(width)
    target = np.eye(length)
    for step in range(steps + 1):
        before = hidden * hidden_scale
        active = np.maximum(before, 0)
        errors = readout @ active * readout_scale - target
        if step == steps:
            break
        slope_hidden = (readout.T @ errors) * readout_scale * (before > 0) * hidden_scale
        slope_readout = errors @ active.T * readout_scale
        hidden -= eta * slope_hidden
        readout -= eta * slope_readout
    pair = np.zeros(length)
    pair[:2] = 1 / math.sqrt(2)
    outputs = readout @ np.maximum(hidden @ pair * hidden_scale, 0) * readout_scale
    return {"residual": float(np.abs(errors).max()), "outputs": outputs.tolist()}
