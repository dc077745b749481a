"""The splitter and the orders of spt as one would write them in Python today: regular expressions over each sentence.

No package permutes semantic units; this is our own transcription of the rules (`spt_regex.py`). A request is {"peer": "re", "file":
...}.
"""

import hashlib
import json
import platform

import contestant
from spt_regex import segment


def join(units, arrangement):
    """A sentence put together from its units; only white space between them changes."""
    texts = [text for text, _ in units]
    if arrangement == list(range(len(arrangement))):
        return "".join(texts)
    count = len(arrangement)
    moving, last = texts[:count], texts[count:]
    spaced = any(a[-1:].isspace() or b[:1].isspace() for a, b in zip(moving, moving[1:]))
    before = moving[0][: len(moving[0]) - len(moving[0].lstrip())]
    after = moving[-1][len(moving[-1].rstrip()) :]
    return before + (" " if spaced else "").join(moving[unit].strip() for unit in arrangement) + after + "".join(last)


def augment(sentences):
    texts = []
    for sentence in sentences:
        units = segment(sentence)
        count = len(units) - (bool(units) and units[-1][1] == "final")
        original = list(range(count))
        for arrangement in (original, original[::-1], original[1::2] + original[::2]):
            texts.append(join(units, arrangement))
    return texts


def answer(request):
    with open(request["file"], encoding="utf-8") as file:
        sentences = json.load(file)
    augment(sentences[:100])
    seconds, texts = contestant.timed(lambda: augment(sentences))
    return seconds, {"texts": len(texts), "sha256": hashlib.sha256("\n".join(texts).encode()).hexdigest()}


if __name__ == "__main__":
    contestant.serve({"re": f"Python {platform.python_version()}"}, answer)
