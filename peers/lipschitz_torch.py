"""The published backward linear bounds of arXiv 2210.07394 in torch: our own transcription, for vectors and for the bench.

Dense ReLU networks, double precision. Forward bounds are CROWN's (lower slope 1 where u > -l, else 0), each met with interval
arithmetic; no search for slopes. The Jacobian is bounded for all outputs at once: matrices are outputs x quantities x variables.
"""

import torch


def interval(weight, lower, upper, bias=None):
    middle, half = (lower + upper) / 2, (upper - lower) / 2
    center, spread = middle @ weight.T, half @ weight.abs().T
    if bias is not None:
        center = center + bias
    return center - spread, center + spread


def forward_bounds(weights, biases, lower, upper):
    """Bounds of what goes into the ReLUs of every hidden layer."""
    found = []
    outside = (lower, upper)
    for k in range(len(weights) - 1):
        low, high = interval(weights[k], *outside, biases[k])
        if k:
            crown = crown_bounds(weights[: k + 1], biases[: k + 1], found, lower, upper)
            low, high = torch.maximum(low, crown[0]), torch.minimum(high, crown[1])
        found.append((low, high))
        outside = (low.clamp(min=0), high.clamp(min=0))
    return found


def crown_bounds(weights, biases, bounds, lower, upper):
    sides = []
    for sign in (1.0, -1.0):
        a, total = sign * weights[-1], sign * biases[-1]
        for k in range(len(weights) - 2, -1, -1):
            l, u = bounds[k]
            on, off = l > 0, u < 0
            slope = torch.where(on, 1.0, torch.where(off, 0.0, u / (u - l)))
            offset = torch.where(on | off, 0.0, -l * u / (u - l))
            below = torch.where(on, 1.0, torch.where(off, 0.0, (u > -l).to(l.dtype)))
            positive, negative = a.clamp(min=0), a.clamp(max=0)
            total = total + positive @ offset
            a = positive * slope + negative * below
            total = total + a @ biases[k]
            a = a @ weights[k]
        sides.append(sign * (total + a.clamp(min=0) @ upper + a.clamp(max=0) @ lower))
    return sides[1], sides[0]


def product_lines(l, u, active, dead):
    """Lines above and below g * 1[z > 0] for l <= g <= u: slope and offset of the upper, then of the lower one."""
    mixed = (l < 0) & (u > 0)
    width = torch.where(mixed, u - l, 1.0)
    one, zero = torch.ones_like(l), torch.zeros_like(l)
    up = torch.where(mixed, u / width, torch.where(u <= 0, zero, one))
    up_offset = torch.where(mixed, -u * l / width, zero)
    down = torch.where(mixed, -l / width, torch.where(l >= 0, zero, one))
    down_offset = torch.where(mixed, l * u / width, zero)
    fixed = active | dead
    exact = active.to(l.dtype)
    return (
        torch.where(fixed, exact, up),
        torch.where(fixed, zero, up_offset),
        torch.where(fixed, exact, down),
        torch.where(fixed, zero, down_offset),
    )


def upper_bound(a, lines, weights, constant):
    """Upper bounds of a . m, m what comes out of the first of the layers that the lines are of."""
    total = 0
    for place, (up, up_offset, down, down_offset) in enumerate(lines):
        positive, negative = a.clamp(min=0), a.clamp(max=0)
        total = total + (positive @ up_offset.unsqueeze(-1) + negative @ down_offset.unsqueeze(-1)).squeeze(-1)
        a = positive * up.unsqueeze(1) + negative * down.unsqueeze(1)
        if place + 1 < len(lines):
            a = a @ weights[place].T
    return total + (a @ constant.unsqueeze(-1)).squeeze(-1)


def jacobian_bounds(weights, biases, lower, upper):
    """Upper bounds of the l1 norm of every row of the Jacobian, and lower and upper bounds of its entries."""
    bounds = forward_bounds(weights, biases, lower, upper)
    active = [l > 0 for l, _ in bounds]
    dead = [u < 0 for _, u in bounds]
    constant = weights[-1]
    count = constant.shape[0]
    hidden = len(bounds)
    lines = [None] * hidden
    g = (constant, constant)
    for k in range(hidden - 1, -1, -1):
        lines[k] = product_lines(*g, active[k].expand_as(g[0]), dead[k].expand_as(g[0]))
        a = weights[k].T.expand(count, -1, -1)
        rest = weights[k + 1 : hidden]
        high = upper_bound(a, lines[k:], rest, constant)
        low = -upper_bound(-a, lines[k:], rest, constant)
        g = (low, high)
    low, high = g
    separate = torch.maximum(low.abs(), high.abs()).sum(-1)
    mixed = (low < 0) & (high > 0)
    width = torch.where(mixed, high - low, 1.0)
    slope = torch.where(mixed, (high + low) / width, torch.where(high <= 0, -1.0, 1.0).to(low.dtype))
    offset = torch.where(mixed, -2 * high * low / width, torch.zeros_like(low))
    joint = upper_bound((slope @ weights[0].T).unsqueeze(1), lines, weights[1:hidden], constant).squeeze(1)
    return torch.minimum(separate, joint + offset.sum(-1)), low, high
