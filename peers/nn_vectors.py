"""Tiny random checkpoints of three families and their logits, as the package transformers makes them.

    python peers/nn_vectors.py crates/nn/tests/vectors

Environment: peers/requirements-nn.txt. The files are committed; the tests of crate nn read them.
With a second argument, a folder that backstitch wrote, it loads that folder instead and compares with its `logits.json`:

    python peers/nn_vectors.py --check FOLDER
"""

import json
import pathlib
import sys

import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

TOKENS = [[3, 1, 4, 1, 5, 9, 2, 6], [27, 18, 28, 18, 28, 4, 5, 9]]


def logits(model):
    with torch.no_grad():
        return model(torch.tensor(TOKENS)).logits.double().tolist()


def models():
    torch.manual_seed(0)
    yield "gpt2", GPT2LMHeadModel(
        GPT2Config(vocab_size=31, n_positions=12, n_embd=8, n_layer=2, n_head=2, initializer_range=0.3)
    )
    yield "llama", LlamaForCausalLM(
        LlamaConfig(
            vocab_size=31,
            max_position_embeddings=12,
            hidden_size=8,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            intermediate_size=16,
            rope_theta=500000.0,
            initializer_range=0.3,
            rope_scaling={
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8,
            },
        )
    )
    yield "qwen2", Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=31,
            max_position_embeddings=12,
            hidden_size=8,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=1,
            intermediate_size=16,
            initializer_range=0.3,
            tie_word_embeddings=True,
        )
    )


def randomise(model):
    """Norm scales and biases too, so that a mistake in any of them shows."""
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, mean=0.1, std=0.3)


def make(root):
    for name, model in models():
        randomise(model)
        model.eval()
        folder = root / name
        model.save_pretrained(folder, safe_serialization=True)
        (folder / "generation_config.json").unlink(missing_ok=True)
        (folder / "logits.json").write_text(json.dumps({"tokens": TOKENS, "logits": logits(model)}) + "\n")


def check(folder):
    expected = json.loads((folder / "logits.json").read_text())
    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad():
        found = model(torch.tensor(expected["tokens"])).logits.double()
    difference = (found - torch.tensor(expected["logits"], dtype=torch.double)).abs().max().item()
    print(f"{folder}: largest difference {difference:.2e}")
    assert difference <= 1e-4


if __name__ == "__main__":
    if sys.argv[1] == "--check":
        check(pathlib.Path(sys.argv[2]))
    else:
        make(pathlib.Path(sys.argv[1]))
