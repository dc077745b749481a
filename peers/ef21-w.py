"""EF21 with Top-1 in numpy and, with sparse rows, in scipy: our own plain transcriptions of the published rounds.

No package has EF21; scripts of the field hold the rows of every worker as a dense array, as `numpy` does here. Speaks JSON lines on
stdin and stdout. First line out: {"ready": true, "peers": [...]}. For every line in, such as {"peer": "numpy", "data": "rows.txt",
"features": 123, "clients": 20, "step": 0.01, "regulariser": 0.001, "rounds": 1000, "repeat": 1}, one line out with the median time of
the rounds; reading is not timed.
"""

import json
import os
import resource
import statistics
import sys
import time

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


def say(message, out):
    out.write(json.dumps(message) + "\n")
    out.flush()


def answer(request, peers):
    name = request["peer"]
    if name not in peers:
        raise ValueError(f"peer {name!r} is not here; here are {sorted(peers)}")
    version, hold = peers[name]
    repeat = int(request.get("repeat", 1))
    if repeat < 1:
        raise ValueError(f"repeat is {repeat}, but must be at least 1")
    features, clients = int(request["features"]), int(request["clients"])
    labels, dense = read(request["data"], features)
    bounds = [client * len(labels) // clients for client in range(clients + 1)]
    parts = list(zip(bounds, bounds[1:]))
    workers = [(hold(dense[begin:end]), labels[begin:end]) for begin, end in parts]
    work = lambda rounds: ef21(workers, features, float(request["step"]), float(request["regulariser"]), rounds)
    work(2)
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        point, squared = work(int(request["rounds"]))
        seconds.append(time.perf_counter() - start)
    # ru_maxrss is in kilobytes on Linux and in bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "peer": name,
        "version": version,
        "seconds": statistics.median(seconds),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
        "answer": {"point": point.tolist(), "squared_gradient": squared},
    }


def main():
    # What libraries print must not reach the channel.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peers = {"numpy": (np.__version__, np.ascontiguousarray)}
    if sparse is not None:
        peers["scipy"] = (scipy.__version__, sparse.csr_array)
    say({"ready": True, "peers": [{"name": name, "version": found} for name, (found, _) in peers.items()]}, out)
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            say(answer(json.loads(line), peers), out)
        except Exception as error:
            say({"error": f"{type(error).__name__}: {error}"}, out)


if __name__ == "__main__":
    main()
