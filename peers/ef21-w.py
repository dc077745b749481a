"""EF21 with Top-1 in numpy and, with sparse rows, in scipy: our own plain transcriptions of the published rounds.

No package has EF21; scripts of the field hold the rows of every worker as a dense array, as `numpy` does here. A request is such as
{"peer": "numpy", "data": "rows.txt", "features": 123, "clients": 20, "step": 0.01, "regulariser": 0.001, "rounds": 1000,
"repeat": 1}; its time is the median of the rounds, reading is not timed.
"""

import contestant

import numpy as np

try:
    import scipy
    from scipy import sparse
except ImportError:
    sparse = None


def read(path, features):
    """Labels and dense rows of a LIBSVM file."""
    labels, rows, columns, values = [], [], [], []
    with open(path) as lines:
        for row, line in enumerate(lines):
            label, *entries = line.split()
            labels.append(float(label))
            for entry in entries:
                index, value = entry.split(":")
                rows.append(row)
                columns.append(int(index) - 1)
                values.append(float(value))
    dense = np.zeros((len(labels), features))
    dense[rows, columns] = values
    return np.array(labels), dense


def gradient(point, rows, labels, strength):
    """Of the mean logistic loss of some rows plus strength * sum of x^2 / (1 + x^2)."""
    margins = labels * (rows @ point)
    slopes = -labels / (1 + np.exp(margins))
    return rows.T @ slopes / len(labels) + 2 * strength * point / (1 + point**2) ** 2


def ef21(workers, features, step, strength, rounds):
    """EF21 with Top-1 from zero, the first gradients sent whole."""
    point = np.zeros(features)
    estimates = [gradient(point, rows, labels, strength) for rows, labels in workers]
    direction = sum(estimates) / len(workers)
    for _ in range(rounds):
        point = point - step * direction
        total = np.zeros(features)
        for worker, (rows, labels) in enumerate(workers):
            slope = gradient(point, rows, labels, strength)
            total += slope
            difference = slope - estimates[worker]
            largest = np.argmax(np.abs(difference))
            estimates[worker][largest] += difference[largest]
            direction[largest] += difference[largest] / len(workers)
        squared = float((total / len(workers)) @ (total / len(workers)))
    return point, squared


HOLD = {"numpy": np.ascontiguousarray}
VERSIONS = {"numpy": np.__version__}
if sparse is not None:
    HOLD["scipy"] = sparse.csr_array
    VERSIONS["scipy"] = scipy.__version__


def answer(request):
    features, clients = int(request["features"]), int(request["clients"])
    labels, dense = read(request["data"], features)
    bounds = [client * len(labels) // clients for client in range(clients + 1)]
    hold = HOLD[request["peer"]]
    workers = [(hold(dense[begin:end]), labels[begin:end]) for begin, end in zip(bounds, bounds[1:])]
    work = lambda rounds: ef21(workers, features, float(request["step"]), float(request["regulariser"]), rounds)
    work(2)
    seconds, (point, squared) = contestant.timed(lambda: work(int(request["rounds"])), int(request.get("repeat", 1)))
    return seconds, {"point": point.tolist(), "squared_gradient": squared}


if __name__ == "__main__":
    contestant.serve(VERSIONS, answer)
