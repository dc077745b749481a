"""The published backward linear bounds in torch (our own transcription, lipschitz_torch.py) beside the program.

A request is {"peer": "torch", "model": "weights.json", "center": [...], "radius": 0.01, "repeat": 5}: bounds of the Jacobian of a dense
ReLU network in double precision on the CPU, for all outputs. Its time is the median, after one round that warms up.
"""

import json

import contestant


def load():
    import torch

    import lipschitz_torch

    torch.set_default_dtype(torch.float64)
    return torch, lipschitz_torch


VERSIONS, LOADED = contestant.load({"torch": ("torch", load)})


def answer(request):
    torch, bounds = LOADED["torch"]
    with open(request["model"]) as file:
        layers = json.load(file)
    weights = [torch.tensor(layer["weights"]) for layer in layers]
    biases = [torch.tensor(layer["bias"]) for layer in layers]
    center = torch.tensor(request["center"])
    lower, upper = center - request["radius"], center + request["radius"]

    def work():
        with torch.no_grad():
            return bounds.jacobian_bounds(weights, biases, lower, upper)

    work()
    seconds, found = contestant.timed(work, int(request["repeat"]))
    return seconds, {"upper": found[0].tolist()}


if __name__ == "__main__":
    contestant.serve(VERSIONS, answer)
