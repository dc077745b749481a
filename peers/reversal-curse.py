"""What a user would pick today: the GPT-2 of transformers, trained with torch, and every candidate scored in one padded batch.

Speaks JSON lines on stdin and stdout. First line out: {"ready": true, "peers": [...]}. For every line in, {"peer": "transformers",
"work": "train" or "score", "file": ..., "model": ...}, one line out with the time of the work alone.
"""

import json
import resource
import sys
import time
from importlib.metadata import version


def say(message):
    print(json.dumps(message), flush=True)


def padded(rows, fill):
    import torch

    longest = max(map(len, rows))
    return torch.tensor([row + [fill] * (longest - len(row)) for row in rows])


def train(request):
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    with open(request["file"]) as file:
        data = json.load(file)
    shape = data["shape"]
    config = GPT2Config(
        vocab_size=shape["vocabulary"],
        n_positions=shape["context"],
        n_embd=shape["width"],
        n_layer=shape["layers"],
        n_head=shape["heads"],
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        tie_word_embeddings=False,
    )
    torch.manual_seed(0)
    steps = len(data["order"])

    def fit(model, order):
        optimizer = torch.optim.AdamW(model.parameters(), lr=data["learning_rate"], betas=(0.9, 0.95), eps=1e-8, weight_decay=0.01)
        warm = max(1.0, 0.05 * steps)

        def factor(step):
            import math

            step += 1
            if step <= warm:
                return step / warm
            return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        for batch in order:
            rows = [data["sequences"][example] for example in batch]
            tokens, labels = padded(rows, 0), padded(rows, -100)
            loss = model(input_ids=tokens, labels=labels).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
        return loss.item()

    fit(GPT2LMHeadModel(config).train(), data["order"][:5])
    model = GPT2LMHeadModel(config).train()
    start = time.perf_counter()
    loss = fit(model, data["order"])
    return time.perf_counter() - start, {"loss": loss}


def score(request):
    import torch
    from transformers import GPT2LMHeadModel

    with open(request["file"]) as file:
        questions = json.load(file)
    model = GPT2LMHeadModel.from_pretrained(request["model"]).eval()

    @torch.inference_mode()
    def one(question):
        prompt, candidates = question["prompt"], question["candidates"]
        tokens = padded([prompt + candidate for candidate in candidates], 0)
        logits = model(input_ids=tokens[:, :-1]).logits[:, len(prompt) - 1 :].double().log_softmax(-1)
        targets = padded(candidates, -1)
        picked = logits[:, : targets.shape[1]].gather(-1, targets.clamp(min=0)[..., None])[..., 0]
        return (picked * (targets >= 0)).sum(-1).tolist()

    one(questions[0])
    start = time.perf_counter()
    scores = [one(question) for question in questions]
    return time.perf_counter() - start, {"scores": scores}


def answer(request):
    if request["peer"] != "transformers":
        raise ValueError(f"peer {request['peer']!r} is not here; here is transformers")
    seconds, result = {"train": train, "score": score}[request["work"]](request)
    # ru_maxrss is in kilobytes on Linux and in bytes on macOS.
    factor = 1 if sys.platform == "darwin" else 1024
    return {
        "peer": "transformers",
        "version": f"{version('transformers')}, torch {version('torch')}",
        "seconds": seconds,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * factor,
        "answer": result,
    }


def main():
    try:
        import torch  # noqa: F401
        import transformers  # noqa: F401

        peers = [{"name": "transformers", "version": version("transformers")}]
    except Exception:  # A peer that does not import is left out: the ready line says which ones are here.
        peers = []
    say({"ready": True, "peers": peers})
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            say(answer(json.loads(line)))
        except Exception as error:
            say({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
