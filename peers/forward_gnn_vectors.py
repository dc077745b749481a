"""Writes crates/graph/tests/vectors/forward_gnn.json: outputs and gradients of the three convolutions by torch-geometric, and the loss after
some epochs of Adam.

    python peers/forward_gnn_vectors.py > crates/graph/tests/vectors/forward_gnn.json
"""

import json

import torch
from torch_geometric import nn

NODES, INPUTS, OUTPUTS = 7, 5, 8
PAIRS = [(0, 1), (0, 2), (1, 2), (2, 3), (3, 4), (0, 5), (4, 5)]  # Node 6 has no edge.


def numbers(tensor):
    return [float(value) for value in tensor.detach().reshape(-1)]


def main():
    torch.manual_seed(0)
    ends = torch.tensor(PAIRS).T
    edges = torch.cat([ends, ends.flip(0)], dim=1)
    x = torch.randn(NODES, INPUTS, requires_grad=True)
    factors = torch.randn(NODES, OUTPUTS)
    layers = {
        "gcn": nn.GCNConv(INPUTS, OUTPUTS),
        "sage": nn.SAGEConv(INPUTS, OUTPUTS),
        "gat": nn.GATConv(INPUTS, OUTPUTS // 4, heads=4),
    }
    found = {"pairs": PAIRS, "x": numbers(x), "factors": numbers(factors), "layers": {}}
    for name, layer in layers.items():
        for part in layer.parameters():
            torch.nn.init.normal_(part, std=0.5)
        x.grad = None
        output = layer(x, edges).relu()
        (output * factors).sum().backward()
        # As the program keeps them: weights as inputs x outputs, then the bias, then what is special.
        if name == "gcn":
            parts = [(layer.lin.weight, True), (layer.bias, False)]
        elif name == "sage":
            parts = [(layer.lin_l.weight, True), (layer.lin_l.bias, False), (layer.lin_r.weight, True)]
        else:
            parts = [(layer.lin.weight, True), (layer.bias, False)]
        flat = [numbers(part.T if turned else part) for part, turned in parts]
        gradients = [numbers(part.grad.T if turned else part.grad) for part, turned in parts]
        if name == "gat":
            flat.append(numbers(layer.att_src) + numbers(layer.att_dst))
            gradients.append(numbers(layer.att_src.grad) + numbers(layer.att_dst.grad))
        found["layers"][name] = {
            "parameters": flat,
            "output": numbers(output),
            "gradients": gradients,
            "to_input": numbers(x.grad),
        }
    # Adam with an L2 penalty on one weight.
    weight = torch.tensor([0.5], requires_grad=True)
    optimizer = torch.optim.Adam([weight], lr=0.1, weight_decay=0.01)
    steps = []
    for gradient in (2.0, -1.0, 0.25):
        optimizer.zero_grad()
        weight.grad = torch.tensor([gradient])
        optimizer.step()
        steps.append(float(weight.detach()))
    found["adam"] = steps
    print(json.dumps(found))


if __name__ == "__main__":
    main()
