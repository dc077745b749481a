"""What a user would pick today: the kernels of neural-tangents where it imports, else numpy (our own transcription).

A request is such as {"peer": "numpy", "work": "theory", "length": 20, "error": 0.1, "repeat": 5}; its time is the median.
"""

import os

import contestant

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


def warm(loader):
    def load():
        solve = loader()
        theory(4, 0.1, solve)
        return solve

    return load


def main():
    versions, solvers = contestant.load({name: (package, warm(loader)) for name, (package, loader) in LOADERS.items()})
    train(4, 64, 5, np.random.default_rng(0))

    def answer(request):
        work = work_of(request, solvers[request["peer"]])
        if request["work"] == "theory":
            # Compiles, where something is compiled.
            work()
        return contestant.timed(work, int(request.get("repeat", 1)))

    contestant.serve(versions, answer)


if __name__ == "__main__":
    main()
