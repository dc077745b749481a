"""What a user would pick today: the kernels of neural-tangents where it imports, else numpy (our own transcription).

Speaks JSON lines on stdin and stdout. First line out: {"ready": true, "peers": [...]}. For every line in, such as
{"peer": "numpy", "work": "theory", "length": 20, "error": 0.1, "repeat": 5}, one line out with the median time of the work.
"""

import json
import os
import resource
import statistics
import sys
import time
from importlib.metadata import version

import numpy as np

from exact_permutations_numpy import numpy_posterior, posterior, theory, train


def load_neural_tangents():
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    import jax

    jax.config.update("jax_enable_x64", True)
    from neural_tangents import stax

    _, _, kernel_function = stax.serial(stax.Dense(1), stax.Relu(), stax.Dense(1))
    compiled = jax.jit(kernel_function, static_argnames="get")

    def solve(train_inputs, test_inputs):
        def kernel(name):
            return lambda a, b: np.asarray(compiled(a, b, get=name))

        return posterior(kernel("nngp"), kernel("ntk"), train_inputs, test_inputs)

    return solve


def load_numpy():
    return lambda train_inputs, test_inputs: numpy_posterior(train_inputs, test_inputs, "ntk")


LOADERS = {"neural-tangents": ("neural-tangents", load_neural_tangents), "numpy": ("numpy", load_numpy)}


def say(message, out):
    out.write(json.dumps(message) + "\n")
    out.flush()


def work_of(request, solve):
    length = int(request["length"])
    if request["work"] == "theory":
        return lambda: theory(length, float(request["error"]), solve)
    if request["work"] == "train":
        if request["peer"] != "numpy":
            raise ValueError(f"only numpy trains here, not {request['peer']}")
        generator = np.random.default_rng(0)
        return lambda: train(length, int(request["width"]), int(request["steps"]), generator)
    raise ValueError(f"no work {request['work']!r}")


def answer(request, peers):
    name = request["peer"]
    if name not in peers:
        raise ValueError(f"peer {name!r} is not here; here are {sorted(peers)}")
    repeat = int(request.get("repeat", 1))
    if repeat < 1:
        raise ValueError(f"repeat is {repeat}, but must be at least 1")
    found, solve = peers[name]
    work = work_of(request, solve)
    if request["work"] == "theory":
        # Compiles, where something is compiled.
        work()
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    # ru_maxrss is in kilobytes on Linux and in bytes on macOS.
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "peer": name,
        "version": found,
        "seconds": statistics.median(seconds),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
        "answer": result,
    }


def main():
    # What libraries print must not reach the channel.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    peers = {}
    for name, (package, load) in LOADERS.items():
        try:
            solve = load()
            theory(4, 0.1, solve)
            peers[name] = (version(package), solve)
        except Exception:  # A peer that does not import is left out: the ready line says which ones are here.
            continue
    train(4, 64, 5, np.random.default_rng(0))
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
