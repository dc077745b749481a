"""The side of a bench that is not ours: JSON lines on stdin and stdout.

First line out: {"ready": true, "peers": [...]}. For every line in, a request that names its "peer", one line out: the version, the
time of the work alone, the peak memory so far and the answer, or {"error": ...}. Import this first: what libraries print from then on
goes to stderr and does not reach the channel.
"""

import json
import os
import resource
import statistics
import sys
import time
from importlib.metadata import version

CHANNEL = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)


def say(message):
    CHANNEL.write(json.dumps(message) + "\n")
    CHANNEL.flush()


def load(loaders):
    """Loads {name: (package, loader)}; gives versions and what the loaders gave. A peer that does not import is left out."""
    versions, loaded = {}, {}
    for name, (package, loader) in loaders.items():
        try:
            loaded[name] = loader()
            versions[name] = version(package)
        except Exception:  # The ready line says which ones are here.
            continue
    return versions, loaded


def timed(work, repeat=1):
    """The median time of the work, and what it gave last."""
    if repeat < 1:
        raise ValueError(f"repeat is {repeat}, but must be at least 1")
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), result


def peak_bytes():
    # ru_maxrss is in kilobytes on Linux and in bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def serve(versions, answer):
    """Answers until the input ends. `versions` has the version of every peer that is here; `answer(request)` does the work of one
    request and gives its seconds and what it computed."""
    say({"ready": True, "peers": [{"name": name, "version": version} for name, version in versions.items()]})
    for line in filter(str.strip, sys.stdin):
        try:
            request = json.loads(line)
            name = request["peer"]
            if name not in versions:
                raise ValueError(f"peer {name!r} is not here; here is {', '.join(versions) or 'none'}")
            seconds, found = answer(request)
            peak = peak_bytes()
            say({"peer": name, "version": versions[name], "seconds": seconds, "peak_bytes": peak, "answer": found})
        except Exception as error:
            say({"error": f"{type(error).__name__}: {error}"})
