"""Refining a log of gradient norms with scipy's median filter, and our own plain transcription of the published procedure in numpy.

A request is such as {"peer": "scipy", "data": "norms.txt", "smoothing": 0.1, "shown": 1000, "repeat": 1}; its time is the median of the
repetitions, reading is not timed. The numpy variant holds a window per norm and is for short logs.
"""

import contestant

import hashlib

import numpy as np

try:
    import scipy
    from scipy.ndimage import median_filter
except ImportError:
    scipy = None


def by_scipy(padded, width):
    return median_filter(padded, size=width, mode="nearest")


def by_numpy(padded, width):
    padded = np.concatenate([np.full(width // 2, padded[0]), padded])
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)
    # Some windows at a time: all of them would not fit the memory.
    return np.concatenate([np.median(part, axis=1) for part in np.array_split(windows, max(1, windows.size // 10_000_000))])


def refine(norms, smoothing, median):
    count = len(norms)
    width = 2 * (int(smoothing * count) // 2) + 1
    smoothed = median(np.pad(norms, (0, 2 * width), mode="reflect"), width)[:count]
    weights = (smoothed / smoothed.min()) ** -2
    later = np.append(weights[:0:-1].cumsum()[::-1], 0)
    schedule = weights * later
    return smoothed, schedule / schedule.max()


MEDIANS = {"numpy": by_numpy}
VERSIONS = {"numpy": np.__version__}
if scipy is not None:
    MEDIANS["scipy"] = by_scipy
    VERSIONS["scipy"] = scipy.__version__


def answer(request):
    with open(request["data"]) as file:
        norms = np.array([float(line) for line in file])
    work = lambda norms: refine(norms, float(request["smoothing"]), MEDIANS[request["peer"]])
    work(norms[:1000])
    seconds, (smoothed, schedule) = contestant.timed(lambda: work(norms), int(request.get("repeat", 1)))
    every = len(norms) // int(request["shown"])
    digest = hashlib.sha256(smoothed.astype("<f8").tobytes()).hexdigest()
    return seconds, {"smoothed": digest, "multipliers": schedule[::every].tolist()}


if __name__ == "__main__":
    contestant.serve(VERSIONS, answer)
