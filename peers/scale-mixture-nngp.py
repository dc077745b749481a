"""Neural Tangents beside the program: NNGP kernels, and the Student-t regression that its users write on top of them.

Neural Tangents gives kernels and Gaussian process means and covariances, but no Student-t process: the closed form of the posterior
and of the evidence is our own transcription of arXiv 2107.01408 on its kernel, in JAX, compiled, and differentiated automatically.
All in double precision on the CPU.

A request is {"peer": "neural-tangents", "task": "kernel", "fit" or "gradient", "data": "table.csv", "train": 824, "depth": 4,
"weight_std": 1.4, "bias_std": 0.3, "last_weight_std": 1, "noise": 0.1, "shape": 2, "scale": 2}; its time is that of the task after one
that compiles it, with the answer on the host.
"""

import contestant


def load():
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp
    import neural_tangents as nt
    import numpy as np
    from jax.scipy.linalg import cho_solve
    from jax.scipy.special import gammaln
    from neural_tangents import stax

    return jax, jnp, nt, np, cho_solve, gammaln, stax


VERSIONS, LOADED = contestant.load({"neural-tangents": ("neural-tangents", load)})


def kernel_function(stax, depth, weight_std, bias_std, last_weight_std):
    layers = []
    for _ in range(depth):
        layers += [stax.Dense(1, W_std=weight_std, b_std=bias_std), stax.Relu()]
    return stax.serial(*layers, stax.Dense(1, W_std=last_weight_std))[2]


def answer(request):
    jax, jnp, nt, np, cho_solve, gammaln, stax = LOADED["neural-tangents"]
    train, shape, scale = request["train"], request["shape"], request["scale"]
    table = np.loadtxt(request["data"], delimiter=",", skiprows=1)
    x, y, new = table[:train, :-1], table[:train, -1], table[train:, :-1]
    point = jnp.array([request[name] for name in ("weight_std", "bias_std", "last_weight_std", "noise")])

    def kernel(point, one, other):
        return kernel_function(stax, request["depth"], point[0], point[1], point[2])(one, other, "nngp")

    def evidence(point, x, y):
        n = len(y)
        factor = jnp.linalg.cholesky(kernel(point, x, None) + point[3] * jnp.eye(n))
        q = y @ cho_solve((factor, True), y)
        half = 0.5 * n
        prior = shape * jnp.log(scale) - gammaln(shape) + gammaln(shape + half)
        scaled = prior - (shape + half) * jnp.log(scale + 0.5 * q)
        return scaled - jnp.log(jnp.diag(factor)).sum() - half * jnp.log(2 * jnp.pi)

    def fit(point, x, y, new):
        mean, spread = x.mean(0), x.std(0)
        centre, deviation = y.mean(), y.std()
        x, new, y = (x - mean) / spread, (new - mean) / spread, (y - centre) / deviation
        n = len(y)
        factor = jnp.linalg.cholesky(kernel(point, x, None) + point[3] * jnp.eye(n))
        alpha = cho_solve((factor, True), y)
        cross = kernel(point, x, new)
        means = centre + deviation * cross.T @ alpha
        own = jax.vmap(lambda row: kernel(point, row[None], None)[0, 0])(new)
        root = jax.scipy.linalg.solve_triangular(factor, cross, lower=True)
        variance = own - (root**2).sum(0) + point[3]
        q = y @ alpha
        factor_of_scale = (2 * scale + q) / (2 * shape + n)
        total = evidence(point, x, y) - n * jnp.log(deviation)
        return means, deviation * jnp.sqrt(factor_of_scale * variance), total

    if request["task"] == "kernel":
        work = jax.jit(lambda: kernel(point, x, None))
        run = lambda: np.asarray(work())
        pick = lambda k: [k[0, 0], k[0, 1], k[-1, train // 2]]
    elif request["task"] == "fit":
        work = jax.jit(lambda point, x, y, new: fit(point, x, y, new))
        run = lambda: [np.asarray(part) for part in work(point, x, y, new)]
        pick = lambda found: [found[0][0], found[0][-1], found[1][0], found[2]]
    else:
        work = jax.jit(jax.value_and_grad(evidence))
        run = lambda: [np.asarray(part) for part in work(point, x, y)]
        pick = lambda found: [found[0], *found[1]]
    run()
    seconds, found = contestant.timed(run)
    return seconds, {"values": [float(value) for value in pick(found)]}


if __name__ == "__main__":
    contestant.serve(VERSIONS, answer)
