"""The published rules of FOBAR, transcribed in our own words: how answers are found in replies, and how candidates are scored."""

import re

EPSILON = 1e-8
FORWARD, BACKWARD = "The answer is", "The value of x is"


def last_number(reply, mark):
    """The last number behind the last mark, as text: without commas and trailing zeros, empty without a number."""
    behind = reply.split(mark)[-1].replace(",", "")
    runs = re.findall("-?[0-9]+/?[.]?[0-9]*", behind)
    if not runs:
        return ""
    run = runs[-1]
    try:
        value = float(run)
    except ValueError:
        return run.removesuffix(".").removesuffix("/")
    return str(int(value)) if value == int(value) else str(value)


def probabilities(counts, recovered, alpha):
    """Forward, backward and combined, each by candidate; the combined ones add up to one."""
    forward = [count / sum(counts) for count in counts]
    backward = [(hits + EPSILON / len(counts)) / (sum(recovered) + EPSILON) for hits in recovered]
    product = [f**alpha * b ** (1 - alpha) for f, b in zip(forward, backward)]
    return forward, backward, [value / sum(product) for value in product]
