"""Bilevel optimisation by implicit differentiation with jaxopt: penalties of features and weights of rows.

A request is such as {"peer": "jaxopt", "task": "selection", "data": "rows.txt", "rows": 1000, "target": 0.4, "iterations": 100,
"step": 0.1, "start": -4, "lowest": -8, "highest": 4, "widest": 6, "ridge": 0.001, "classes": 10}. The lower level is solved by L-BFGS
from where it was, x moves by Adam, and the work ends at the first step whose validation loss is within half a percent of the target, or
after 500 steps. Compilation is not timed.
"""

import contestant

import numpy as np


def load():
    import jax

    jax.config.update("jax_enable_x64", True)
    import jax.numpy as jnp
    import jaxopt

    return jax, jnp, jaxopt


VERSIONS, LOADED = contestant.load({"jaxopt": ("jaxopt", load)})
NEAR = 0.005
PATIENCE = 500


def read(request):
    table = np.loadtxt(request["data"])
    rows = request["rows"]
    return table[:rows, 1:], table[:rows, 0], table[rows:, 1:], table[rows:, 0]


def problem(request):
    """Lower objective of (y, x), upper loss of y, starts, and bounds of x."""
    _, jnp, _ = LOADED["jaxopt"]
    a, labels, b, others = (jnp.asarray(part) for part in read(request))
    if request["task"] == "selection":
        mean = lambda y, rows, signs: jnp.mean(jnp.logaddexp(0.0, -signs * (rows @ y)))
        lower = lambda y, x: mean(y, a, labels) + 0.5 * jnp.sum(jnp.exp(x) * y * y)
        start = jnp.full(a.shape[1], float(request["start"]))
        return lower, lambda y: mean(y, b, others), start, jnp.zeros(a.shape[1]), request["lowest"], request["highest"]
    labels, others = labels.astype(int), others.astype(int)
    classes = request["classes"]

    def losses(y, rows, own):
        scores = rows @ y
        largest = scores.max(axis=1)
        total = largest + jnp.log(jnp.exp(scores - largest[:, None]).sum(axis=1))
        return total - jnp.take_along_axis(scores, own[:, None], axis=1)[:, 0]

    def lower(y, x):
        weights = 1 / (1 + jnp.exp(-x))
        return jnp.mean(weights * losses(y, a, labels)) + 0.5 * request["ridge"] * jnp.sum(y * y)

    start, zero = jnp.zeros(a.shape[0]), jnp.zeros((a.shape[1], classes))
    return lower, lambda y: jnp.mean(losses(y, b, others)), start, zero, -request["widest"], request["widest"]


def descend(step, request, start, zero, limit):
    """Adam along the hypergradient; gives the loss and the steps taken."""
    _, jnp, _ = LOADED["jaxopt"]
    x, y = start, zero
    mean, square = jnp.zeros_like(x), jnp.zeros_like(x)
    wanted = request["target"] * (1 + NEAR)
    for number in range(1, limit + 1):
        loss, x, y, mean, square = step(x, y, mean, square, float(number))
        loss = float(loss)
        if loss <= wanted:
            break
    return loss, number


def answer(request):
    jax, jnp, jaxopt = LOADED["jaxopt"]
    lower, upper, start, zero, lowest, highest = problem(request)
    solver = jaxopt.LBFGS(fun=lower, maxiter=50, tol=1e-4, implicit_diff=True)

    def outer(x, y):
        found = solver.run(y, x).params
        return upper(found), found

    @jax.jit
    def step(x, y, mean, square, number):
        (loss, y), slope = jax.value_and_grad(outer, has_aux=True)(x, y)
        mean = 0.9 * mean + 0.1 * slope
        square = 0.999 * square + 0.001 * slope**2
        scaled = mean / (1 - 0.9**number) / (jnp.sqrt(square / (1 - 0.999**number)) + 1e-12)
        return loss, jnp.clip(x - request["step"] * scaled, lowest, highest), y, mean, square

    # Compiles.
    descend(step, request, start, zero, 1)
    seconds, (loss, steps) = contestant.timed(
        lambda: descend(step, request, start, zero, PATIENCE)
    )
    return seconds, {"loss": loss, "steps": steps}


if __name__ == "__main__":
    contestant.serve(VERSIONS, answer)
