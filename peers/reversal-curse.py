"""What a user would pick today: the GPT-2 of transformers, trained with torch, and every candidate scored in one padded batch.

A request is {"peer": "transformers", "work": "train" or "score", "file": ..., "model": ...}.
"""

import json

import contestant


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
    seconds, loss = contestant.timed(lambda: fit(model, data["order"]))
    return seconds, {"loss": loss}


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
    seconds, scores = contestant.timed(lambda: [one(question) for question in questions])
    return seconds, {"scores": scores}


def load():
    import torch
    import transformers

    return f"{transformers.__version__}, torch {torch.__version__}"


def main():
    _, found = contestant.load({"transformers": ("transformers", load)})
    contestant.serve(found, lambda request: {"train": train, "score": score}[request["work"]](request))


if __name__ == "__main__":
    main()
