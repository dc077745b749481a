"""Makes crates/reason/tests/vectors/fobar.json: answers by the rules of the official evaluator, transcribed here in our own words.

    python fobar_vectors.py > ../crates/reason/tests/vectors/fobar.json

Replies are synthetic. The standard library is enough.
"""

import json
import random

from fobar_rules import BACKWARD, FORWARD, last_number, probabilities

FORWARD_SAMPLES, BACKWARD_SAMPLES = 7, 3


def votes(generator):
    counts = [generator.randint(1, 12) for _ in range(generator.randint(2, 6))]
    recovered = [generator.choice([0, 0, 1, 5, generator.randint(0, 24)]) for _ in counts]
    alpha = generator.choice([0.1, 0.3, 0.5, 0.8, 0.9])
    forward, backward, combined = probabilities(counts, recovered, alpha)
    return {
        "counts": counts,
        "recovered": recovered,
        "alpha": alpha,
        "forward": forward,
        "backward": backward,
        "combined": combined,
        "winner": combined.index(max(combined)),
    }


def forward_reply(generator, number):
    return generator.choice(
        [
            f"Adding gives it. The answer is {number}.",
            f"Adding gives it. The answer is {number}.",
            f"That is {number}.0 in all. The answer is ${number}.00.",
            f"Perhaps 7. The answer is {number - 1} or rather {number}",
            f"The answer is {number}/2.",
            f"So 3 and then {number}",
            "I cannot tell.",
        ]
    )


def backward_reply(generator, number):
    return generator.choice(
        [
            f"x + 3 = 9. The value of x is {number}.",
            f"The value of x is {number}.0, it seems.",
            f"The value of x is {number} and not {number + 1}",
            f"so x = {number}",
            "no idea",
        ]
    )


def question(generator, name):
    one, other = generator.randint(2, 60), generator.randint(2, 60)
    text = f"{name} has {one} apples and buys {other} pears. How many fruits are that?"
    ability = generator.random()
    right, wrong = one + other, [one + other + generator.randint(1, 4) for _ in range(2)]
    replies = [
        forward_reply(generator, right if generator.random() < ability else generator.choice(wrong))
        for _ in range(FORWARD_SAMPLES)
    ]
    counts = {}
    for reply in replies:
        answer = last_number(reply, FORWARD)
        counts[answer] = counts.get(answer, 0) + 1
    case = {"question": text, "replies": replies, "backward": [], "candidates": list(counts)}
    case["counts"] = list(counts.values())
    if len(counts) == 1:
        return {**case, "recovered": None, "answer": list(counts)[0], "combined": [1.0]}
    recovered = dict.fromkeys(counts, 0)
    masked = [(one, text.replace(f"has {one} ", "has x ")), (other, text.replace(f"buys {other} ", "buys x "))]
    for value, hidden in masked:
        for candidate in counts:
            finds = 0.8 if candidate == str(right) else 0.25
            replies = [
                backward_reply(generator, value if generator.random() < finds else value + generator.randint(1, 9))
                for _ in range(BACKWARD_SAMPLES)
            ]
            case["backward"].append({"question": hidden, "candidate": candidate, "replies": replies})
            # As texts, as the evaluator compares them.
            recovered[candidate] += sum(last_number(reply, BACKWARD) == str(value) for reply in replies)
    _, _, combined = probabilities(case["counts"], list(recovered.values()), 0.5)
    best = max(range(len(counts)), key=combined.__getitem__)
    return {**case, "recovered": list(recovered.values()), "answer": list(counts)[best], "combined": combined}


def main():
    generator = random.Random(5)
    names = ["Ann", "Bea", "Cem", "Dov", "Eli", "Fay", "Gus", "Hal", "Ida", "Jon", "Kim", "Lea"]
    found = {
        "votes": [votes(generator) for _ in range(40)],
        "forward_samples": FORWARD_SAMPLES,
        "backward_samples": BACKWARD_SAMPLES,
        "questions": [question(generator, name) for name in names],
    }
    print(json.dumps(found, indent=1))


main()
