"""Full-batch epochs of a two-layer graph convolutional network in torch-geometric, beside the program.

A request is {"peer": "torch-geometric", "form": "edges", "edges": "edges.bin", "entries": "entries.bin", "labels": "labels.bin", "weights":
"weights.bin", "nodes": 2708, "features": 1433, "classes": 7, "hidden": 128, "epochs": 100, "warm_up": 5}. The peer torch-geometric-matrix
is the same package given the adjacency as a sparse matrix. Features that are sparse are given as a dense matrix, which its layers take.
Normalisation of the adjacency is computed once (cached). Its time is the median of an epoch.
"""

import statistics
import time

import contestant


def load():
    import numpy
    import torch
    import torch_geometric

    return numpy, torch, torch_geometric


VERSIONS, LOADED = contestant.load(
    {"torch-geometric": ("torch-geometric", load), "torch-geometric-matrix": ("torch-geometric", load)}
)


def read(numpy, torch, utils, request):
    nodes, features = request["nodes"], request["features"]
    pairs = torch.from_numpy(numpy.fromfile(request["edges"], dtype=numpy.uint32).reshape(-1, 2).astype(numpy.int64)).T
    edges = utils.to_undirected(utils.remove_self_loops(pairs)[0], num_nodes=nodes)
    raw = numpy.fromfile(request["entries"], dtype=numpy.uint32)
    if raw.size == nodes * features:
        x = torch.from_numpy(raw.view(numpy.float32).reshape(nodes, features).copy())
    else:
        entries = raw.reshape(-1, 3)
        x = torch.zeros(nodes, features)
        values = torch.from_numpy(entries[:, 2].copy().view(numpy.float32))
        rows, columns = (torch.from_numpy(entries[:, place].astype(numpy.int64)) for place in (0, 1))
        x[rows, columns] = values
    if (x >= 0).all():
        x = x / x.sum(1, keepdim=True).clamp(min=1e-12)
    labels = torch.from_numpy(numpy.fromfile(request["labels"], dtype=numpy.uint32).astype(numpy.int64))
    return edges, x, labels


def answer(request):
    numpy, torch, geometric = LOADED[request["peer"]]
    from torch_geometric import nn, utils

    nodes, hidden, classes = request["nodes"], request["hidden"], request["classes"]
    edges, x, labels = read(numpy, torch, utils, request)
    if request["form"] == "matrix":
        edges = utils.to_torch_csr_tensor(edges, size=(nodes, nodes))
    training = torch.arange(nodes) % 3 != 0
    layers = [nn.GCNConv(x.shape[1], hidden, cached=True), nn.GCNConv(hidden, classes, cached=True)]
    weights = torch.from_numpy(numpy.fromfile(request["weights"], dtype=numpy.float32))
    with torch.no_grad():
        start = 0
        for layer in layers:
            for part in (layer.lin.weight, layer.bias):
                shape = part.T.shape if part.ndim == 2 else part.shape
                own = weights[start : start + part.numel()].reshape(shape)
                part.copy_(own.T if part.ndim == 2 else own)
                start += part.numel()
    parameters = [part for layer in layers for part in layer.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.01, weight_decay=5e-4)

    def epoch():
        optimizer.zero_grad()
        output = layers[1](layers[0](x, edges).relu(), edges)
        loss = torch.nn.functional.cross_entropy(output[training], labels[training])
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    for _ in range(request["warm_up"]):
        epoch()
    seconds, loss = [], None
    for _ in range(request["epochs"]):
        begin = time.perf_counter()
        loss = epoch()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds), {"loss": loss}


if __name__ == "__main__":
    contestant.serve(VERSIONS, answer)
