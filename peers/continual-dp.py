"""What a user would pick today for exact discrete Gaussian noise: opendp. It has no release of running sums.

Speaks JSON lines on stdin and stdout. First line out: {"ready": true, "peers": [...]}. For every line in,
{"peer": "opendp", "work": "noise", "scale": 4, "draws": 65536}, one line out with the time of the draws alone.
"""

import json
import resource
import sys
import time
from importlib.metadata import version


def sampler(scale):
    import opendp.prelude as dp

    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T=float)
    # The default integers have 32 bits and would cut off what lies beyond two σ at the largest scale.
    # On integers this measurement adds discrete Gaussian noise, drawn exactly.
    return dp.m.make_gaussian(*space, scale=float(scale))


def say(message):
    print(json.dumps(message), flush=True)


def answer(request):
    if request["peer"] != "opendp":
        raise ValueError(f"peer {request['peer']!r} is not here; here is opendp")
    scale, draws = int(request["scale"]), int(request["draws"])
    if draws < 1 or scale < 1:
        raise ValueError(f"scale is {scale} and draws is {draws}, but both must be at least 1")
    measure = sampler(scale)
    measure([0] * 1000)
    zeros = [0] * draws
    start = time.perf_counter()
    drawn = measure(zeros)
    seconds = time.perf_counter() - start
    unit = [value / scale for value in drawn]
    # ru_maxrss is in kilobytes on Linux and in bytes on macOS.
    factor = 1 if sys.platform == "darwin" else 1024
    return {
        "peer": "opendp",
        "version": version("opendp"),
        "seconds": seconds,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * factor,
        "answer": {"mean": sum(unit) / draws, "square": sum(value * value for value in unit) / draws},
    }


def main():
    try:
        sampler(4)([0])
        peers = [{"name": "opendp", "version": version("opendp")}]
    except Exception:  # A peer that does not import is left out: the ready line says which ones are here.
        peers = []
    say({"ready": True, "peers": peers})
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            say(answer(json.loads(line)))
        except Exception as error:
            say({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
