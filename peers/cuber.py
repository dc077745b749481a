"""Tasks one after another: with avalanche-lib (no protection, elastic weight consolidation, gradient episodic memory), and by our
transcription of gradient projection memory (the published formulas, with dense projections as its authors form them) in torch.

A request is such as {"peer": "avalanche", "strategy": "naive", "files": [...], "rows": 2000, "test_rows": 500, "inputs": 784, "classes": 10,
"hidden": [100, 100], "epochs": 2, "batch": 10, "rate": 0.01, "elasticity": 100, "samples": 300, "thresholds": [0.95, 0.99], "memory": 256}. A
file has rows of 32-bit floats: the label, then the inputs; training rows first. Only training is timed.
"""

import contestant

import numpy as np


def load_torch():
    import torch

    torch.set_num_threads(2)
    return torch


def load_avalanche():
    from avalanche.benchmarks import tensors_benchmark
    from avalanche.training.plugins import EvaluationPlugin
    from avalanche.training.supervised import EWC, GEM, Naive

    return {"EWC": EWC, "GEM": GEM, "Naive": Naive, "evaluator": EvaluationPlugin, "benchmark": tensors_benchmark}


VERSIONS, LOADED = contestant.load({"torch": ("torch", load_torch), "avalanche": ("avalanche-lib", load_avalanche)})


def read(torch, request):
    tasks = []
    for file in request["files"]:
        table = torch.from_numpy(np.fromfile(file, dtype=np.float32).reshape(-1, request["inputs"] + 1))
        labels, inputs = table[:, 0].long(), table[:, 1:].contiguous()
        rows = request["rows"]
        tasks.append(((inputs[:rows], labels[:rows]), (inputs[rows:], labels[rows:])))
    return tasks


def network(torch, request):
    torch.manual_seed(0)
    widths = [request["inputs"], *request["hidden"], request["classes"]]
    layers = []
    for below, above in zip(widths, widths[1:]):
        layers += [torch.nn.Linear(below, above, bias=False), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def accuracy(torch, model, tasks):
    with torch.no_grad():
        return 100 * float(np.mean([(model(x).argmax(1) == y).float().mean().item() for _, (x, y) in tasks]))


def with_avalanche(torch, request, tasks, model):
    parts = LOADED["avalanche"]
    options = {"model": model, "optimizer": torch.optim.SGD(model.parameters(), lr=request["rate"]),
               "criterion": torch.nn.CrossEntropyLoss(), "train_mb_size": request["batch"],
               "train_epochs": request["epochs"], "evaluator": parts["evaluator"]()}
    if request["strategy"] == "ewc":
        strategy = parts["EWC"](ewc_lambda=request["elasticity"], **options)
    elif request["strategy"] == "gem":
        strategy = parts["GEM"](patterns_per_exp=request["memory"], **options)
    else:
        strategy = parts["Naive"](**options)
    train, test = ([task[part] for task in tasks] for part in (0, 1))
    stream = parts["benchmark"](train_tensors=train, test_tensors=test, task_labels=[0] * len(tasks)).train_stream

    def work():
        for experience in stream:
            strategy.train(experience, num_workers=0)

    return work


def with_torch(torch, request, tasks, model):
    """Gradient projection memory: after each task the singular vectors of what the layers saw join the bases; before each step
    gradients lose what lies in them."""
    layers = [layer for layer in model if isinstance(layer, torch.nn.Linear)]
    bases = [None] * len(layers)
    thresholds = request["thresholds"]
    loss_of = torch.nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=request["rate"])

    def extend(x):
        seen = x[torch.randperm(len(x))[: request["samples"]]]
        for place, layer in enumerate(layers):
            kept, wanted = bases[place], thresholds[min(place, len(thresholds) - 1)]
            total = (seen**2).sum()
            rest = seen if kept is None else seen - seen @ kept @ kept.T
            held = total - (rest**2).sum()
            _, values, vectors = torch.linalg.svd(rest, full_matrices=False)
            shares = (held + torch.cumsum(values**2, 0)) / total
            count = 0 if held / total >= wanted else int((shares < wanted).sum()) + 1
            new = vectors[:count].T
            bases[place] = new if kept is None else torch.cat([kept, new], 1)
            with torch.no_grad():
                seen = torch.relu(layer(seen))

    def work():
        for number, ((x, y), _) in enumerate(tasks):
            projections = [None if basis is None else basis @ basis.T for basis in bases]
            for _ in range(request["epochs"]):
                for picked in torch.randperm(len(x)).split(request["batch"]):
                    optimizer.zero_grad()
                    loss_of(model(x[picked]), y[picked]).backward()
                    for layer, projection in zip(layers, projections):
                        if projection is not None:
                            layer.weight.grad -= layer.weight.grad @ projection
                    optimizer.step()
            with torch.no_grad():
                extend(x)

    return work


def answer(request):
    torch = LOADED["torch"]
    tasks, model = read(torch, request), network(torch, request)
    made = with_avalanche if request["peer"] == "avalanche" else with_torch
    seconds, _ = contestant.timed(made(torch, request, tasks, model))
    return seconds, {"accuracy": accuracy(torch, model, tasks)}


if __name__ == "__main__":
    contestant.serve(VERSIONS, answer)
