"""Our transcription of BRECQ-style reconstruction in torch (the published formulas of AdaRound and FlexRound, eager, on the CPU), and torch's
own dynamic int8 and single-precision linear layers.

A request is such as {"peer": "torch", "what": "learn", "rounding": "adaround", "weights": file, "inputs": file, "side": 256, "rows": 1024,
"batch": 32, "steps": 1000, "bits": 4, "rate": 0.01, "scale": 0.4, "zero": 8} or {"peer": "torch", "what": "product", "theirs": "int8", "weights": file, "inputs": file,
"side": 2048, "rows": 64, "passes": 50}. Files have 32-bit floats, row after row. The grid is given; only learning is timed.
"""

import warnings

import contestant

import numpy as np


def load_torch():
    import torch

    torch.set_num_threads(2)
    warnings.filterwarnings("ignore")
    return torch


VERSIONS, LOADED = contestant.load({"torch": ("torch", load_torch)})


def straight(torch, value):
    return value + (torch.round(value) - value).detach()


def learn(torch, request):
    side, rows, steps, batch = (request[name] for name in ("side", "rows", "steps", "batch"))
    weights = torch.from_numpy(np.fromfile(request["weights"], dtype=np.float32).reshape(side, side))
    inputs = torch.from_numpy(np.fromfile(request["inputs"], dtype=np.float32).reshape(rows, side))
    top = 2 ** request["bits"] - 1
    torch.manual_seed(0)

    def adaround(scale, zero):
        below = torch.floor(weights / scale)
        share = weights / scale - below
        variable = (-torch.log(1.2 / (share + 0.1) - 1)).requires_grad_()
        optimizer = torch.optim.Adam([variable], lr=request["rate"])
        wanted = inputs @ weights.T
        unit = 1 / wanted.pow(2).mean().item()
        for step in range(steps):
            picked = torch.randint(rows, (batch,))
            up = torch.clamp(1.2 * torch.sigmoid(variable) - 0.1, 0, 1)
            rounded = scale * torch.clamp(below + up, -zero, top - zero)
            loss = unit * (inputs[picked] @ rounded.T - wanted[picked]).pow(2).sum(1).mean()
            done = step / steps
            if done >= 0.2:
                exponent = 2 + 18 * (1 - (done - 0.2) / 0.8)
                loss = loss + 0.01 * (1 - (2 * up - 1).abs().pow(exponent)).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return scale * torch.clamp(below + (variable >= 0), -zero, top - zero)

    def flexround(scale, zero):
        log_scale = torch.tensor(np.log(scale), dtype=torch.float32, requires_grad=True)
        log_elements = torch.zeros_like(weights, requires_grad=True)
        log_rows = torch.zeros(side, 1, requires_grad=True)
        optimizer = torch.optim.Adam([log_scale, log_elements, log_rows], lr=request["rate"])
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        wanted = inputs @ weights.T

        def rounded():
            scale = torch.exp(log_scale)
            quotient = weights / (scale * torch.exp(log_elements + log_rows))
            return scale * torch.clamp(straight(torch, quotient), -zero, top - zero)

        for _ in range(steps):
            picked = torch.randint(rows, (batch,))
            loss = (inputs[picked] @ rounded().T - wanted[picked]).pow(2).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        return rounded().detach()

    def work():
        scale, zero = request["scale"], request["zero"]
        return (adaround if request["rounding"] == "adaround" else flexround)(scale, zero)

    seconds, found = contestant.timed(work)
    with torch.no_grad():
        error = (inputs @ (weights - found).T).pow(2).sum() / (inputs @ weights.T).pow(2).sum()
    return seconds, {"error": error.item()}


def product(torch, request):
    side, rows = request["side"], request["rows"]
    weights = torch.from_numpy(np.fromfile(request["weights"], dtype=np.float32).reshape(side, side))
    inputs = torch.from_numpy(np.fromfile(request["inputs"], dtype=np.float32)[: rows * side].reshape(rows, side))
    model = torch.nn.Sequential(torch.nn.Linear(side, side, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(weights)
    size = 4 * side * side
    if request["theirs"] == "int8":
        model = torch.ao.quantization.quantize_dynamic(model, {torch.nn.Linear}, dtype=torch.qint8)
        size = side * side
    with torch.no_grad():
        wanted = inputs @ weights.T
        model(inputs)

        def work():
            for _ in range(request["passes"]):
                found = model(inputs)
            return found

        seconds, found = contestant.timed(work)
        error = (found - wanted).pow(2).sum() / wanted.pow(2).sum()
    return seconds, {"error": error.item(), "weight_bytes": size}


def answer(request):
    torch = LOADED["torch"]
    return (product if request["what"] == "product" else learn)(torch, request)


if __name__ == "__main__":
    contestant.serve(VERSIONS, answer)
