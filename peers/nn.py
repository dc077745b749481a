"""PyTorch on the workloads of `backstitch bench nn`: eager, and compiled.

A request is such as {"peer": "torch eager", "work": "mlp", "batch": 64, "repeat": 200}; its time is the median of a step (of the
whole decoding for "decode"). A step is: forward, loss, backward, clipping at norm 1, AdamW. Environment: peers/requirements-nn.txt.
"""

import os
import statistics
import time

import contestant

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.output = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x, cache=None):
        batch, length, width = x.shape
        packed = self.qkv(self.first(x)).view(batch, length, 3, self.heads, width // self.heads)
        query, key, value = packed.permute(2, 0, 3, 1, 4)
        if cache is not None:
            if cache:
                key, value = torch.cat([cache[0], key], 2), torch.cat([cache[1], value], 2)
            cache[:] = [key, value]
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=length > 1)
        x = x + self.output(mixed.transpose(1, 2).reshape(batch, length, width))
        return x + self.down(F.gelu(self.up(self.second(x)), approximate="tanh"))


class Decoder(nn.Module):
    def __init__(self, vocabulary, context, width, layers, heads):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, tokens, caches=None, start=0):
        x = self.tokens(tokens) + self.positions.weight[start : start + tokens.shape[1]]
        for at, block in enumerate(self.blocks):
            x = block(x, None if caches is None else caches[at])
        return self.head(self.norm(x))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru, self.head = nn.GRU(128, 128, batch_first=True), nn.Linear(128, 10)

    def forward(self, x):
        return self.head(self.gru(x)[0][:, -1])


def size(model):
    return sum(parameter.numel() for parameter in model.parameters())


def time_steps(model, loss, repeat, compiled):
    run = torch.compile(loss) if compiled else loss
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.01)
    times, losses = [], []
    for step in range(repeat + 5):
        begin = time.perf_counter()
        value = run()
        value.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(value.item())
        if step >= 5:
            times.append(time.perf_counter() - begin)
    return statistics.median(times), {"parameters": size(model), "first": losses[0], "last": losses[-1]}


def decoder(request):
    names = ("vocabulary", "context", "width", "layers", "heads")
    return Decoder(*(int(request[name]) for name in names))


def work(request):
    compiled = request["peer"] == "torch.compile"
    batch, repeat = int(request["batch"]), int(request["repeat"])
    torch.manual_seed(0)
    if request["work"] == "decoder":
        model = decoder(request)
        vocabulary, context = int(request["vocabulary"]), int(request["context"])
        tokens = torch.randint(vocabulary, (batch, context + 1))

        def loss():
            return F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())

        return time_steps(model, loss, repeat, compiled)
    if request["work"] in ("mlp", "gru"):
        if request["work"] == "mlp":
            layers = [nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)]
            model, x = nn.Sequential(*layers), torch.randn(batch, 784)
        else:
            model, x = Recurrent(), torch.randn(batch, 64, 128)
        classes = torch.randint(10, (batch,))
        return time_steps(model, lambda: F.cross_entropy(model(x), classes), repeat, compiled)
    if request["work"] == "decode":
        model = decoder(request).eval()

        @torch.inference_mode()
        def run(count):
            caches = [[] for _ in model.blocks]
            token = torch.arange(batch)[:, None]
            for at in range(count):
                token = model(token, caches, at)[:, -1].argmax(-1, keepdim=True)
            return count * batch

        run(8)
        seconds, tokens = contestant.timed(lambda: run(127), repeat)
        return seconds, {"parameters": size(model), "tokens": tokens}
    raise ValueError(f"no work {request['work']!r}")


if __name__ == "__main__":
    torch.set_num_threads(int(os.environ.get("BACKSTITCH_THREADS", os.cpu_count())))
    contestant.serve(dict.fromkeys(["torch eager", "torch.compile"], torch.__version__), work)
