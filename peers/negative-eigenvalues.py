"""The delta rule in chunks (our transcription of its published form in torch, chunk after chunk, with torch's own derivatives), the diagonal
recurrence by mambapy's parallel scan, and one delta layer token by token in torch.

A request is such as {"peer": "torch", "what": "delta", "batch": 8, "length": 2048, "heads": 4, "width": 32, "chunk": 32, "repeat": 5,
"query": file, "key": file, "value": file, "beta": file}; files have 32-bit floats. {"peer": "mambapy", "what": "scan", "shape": [8, 2048, 128],
"factors": file, "inputs": file, ...} and {"peer": "torch", "what": "stream", "model": folder, "tokens": 2000, "vocabulary": 16, ...}.
"""

import contestant

import numpy as np


def load_torch():
    import torch

    torch.set_num_threads(2)
    return torch


def load_mambapy():
    from mambapy.pscan import pscan

    return pscan


VERSIONS, LOADED = contestant.load({"torch": ("torch", load_torch), "mambapy": ("mambapy", load_mambapy)})


def tensor(torch, file, shape):
    return torch.from_numpy(np.fromfile(file, dtype=np.float32)).reshape(shape)


def delta_rule(torch, query, key, value, beta, chunk):
    """Heads first: `[batch, heads, length, width]`."""
    batch, heads, length, width = key.shape
    query = query / width**0.5
    split = lambda x: x.reshape(batch, heads, length // chunk, chunk, width)
    scaled_key, scaled_value = split(key * beta[..., None]), split(value * beta[..., None])
    query, key = split(query), split(key)
    identity = torch.eye(chunk)
    below = (scaled_key @ key.transpose(-1, -2)).tril(-1)
    inverse = torch.linalg.solve_triangular(identity + below, identity.expand_as(below), upper=False, unitriangular=True)
    w, u = inverse @ scaled_key, inverse @ scaled_value
    scores = (query @ key.transpose(-1, -2)).tril()
    state = torch.zeros(batch, heads, width, width)
    outputs = []
    for at in range(length // chunk):
        update = u[:, :, at] - w[:, :, at] @ state
        outputs.append(query[:, :, at] @ state + scores[:, :, at] @ update)
        state = state + key[:, :, at].transpose(-1, -2) @ update
    return torch.stack(outputs, 2).reshape(batch, heads, length, width)


def delta(torch, request):
    batch, length, heads, width = (request[name] for name in ("batch", "length", "heads", "width"))
    leaves = [tensor(torch, request[name], (batch, length, heads, width)) for name in ("query", "key", "value")]
    leaves.append(tensor(torch, request["beta"], (batch, length, heads)))
    for leaf in leaves:
        leaf.requires_grad_()

    def work():
        for leaf in leaves:
            leaf.grad = None
        first = [leaf.transpose(1, 2) for leaf in leaves]
        output = delta_rule(torch, *first, request["chunk"])
        (0.5 * output.square().sum()).backward()
        return [output.detach()] + [leaf.grad for leaf in leaves]

    work()
    seconds, values = contestant.timed(work, request["repeat"])
    return seconds, {"values": [float(value.norm()) for value in values]}


def scan(torch, request):
    pscan = LOADED["mambapy"]
    batch, length, width = request["shape"]
    factors = tensor(torch, request["factors"], (batch, length, width, 1)).requires_grad_()
    inputs = tensor(torch, request["inputs"], (batch, length, width, 1)).requires_grad_()

    def work():
        factors.grad = inputs.grad = None
        states = pscan(factors, inputs)
        (0.5 * states.square().sum()).backward()
        return [states.detach(), factors.grad, inputs.grad]

    work()
    seconds, values = contestant.timed(work, request["repeat"])
    return seconds, {"values": [float(value.norm()) for value in values]}


def stream(torch, request):
    import json
    from pathlib import Path

    from safetensors.torch import load_file

    folder = Path(request["model"])
    network = json.loads((folder / "model.json").read_text())["network"]
    weights = load_file(folder / "model.safetensors")
    heads, width = network["heads"], network["width"] // network["heads"]
    mixer = {name: weights[f"blocks.0.delta.{name}.weight"] for name in ("query", "key", "value", "beta", "norm", "output")}

    def norm(x, weight):
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * weight

    def unit(x):
        return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + 1e-6)

    def work():
        state = torch.zeros(heads, width, width)
        tokens = [network["vocabulary"]] + [at * 7 % request["vocabulary"] for at in range(request["tokens"])]
        for token in tokens:
            hidden = weights["tokens.weight"][token]
            x = norm(hidden, weights["blocks.0.norm.weight"])
            query = unit((x @ mixer["query"]).view(heads, width))
            key = unit((x @ mixer["key"]).view(heads, width))
            value = (x @ mixer["value"]).view(heads, width)
            beta = 2 * torch.sigmoid(x @ mixer["beta"])
            update = beta[:, None] * (value - torch.bmm(key[:, None], state)[:, 0])
            state = torch.baddbmm(state, key[:, :, None], update[:, None])
            read = torch.bmm(query[:, None], state)[:, 0] / width**0.5
            hidden = hidden + norm(read, mixer["norm"]).reshape(-1) @ mixer["output"]
            logits = norm(hidden, weights["norm.weight"]) @ weights["head.weight"] + weights["head.bias"]
        return logits

    with torch.no_grad():
        work()
        seconds, logits = contestant.timed(work, request["repeat"])
    return seconds, {"values": logits.tolist()}


def answer(request):
    torch = LOADED["torch"]
    return {"delta": delta, "scan": scan, "stream": stream}[request["what"]](torch, request)


if __name__ == "__main__":
    contestant.serve(VERSIONS, answer)
