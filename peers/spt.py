"""The splitter and the orders of spt as one would write them in Python today: regular expressions over each sentence.

No package permutes semantic units; this is our own transcription of the rules (`spt_regex.py`). Speaks JSON lines on stdin and
stdout. First line out: {"ready": true, "peers": [...]}. For every line in, {"peer": "re", "file": ...}, one line out with the time of
the work alone.
"""

import hashlib
import json
import platform
import resource
import sys
import time

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


def say(message):
    print(json.dumps(message), flush=True)


def answer(request):
    if request["peer"] != "re":
        raise ValueError(f"peer {request['peer']!r} is not here; here is re")
    with open(request["file"], encoding="utf-8") as file:
        sentences = json.load(file)
    augment(sentences[:100])
    start = time.perf_counter()
    texts = augment(sentences)
    seconds = time.perf_counter() - start
    # ru_maxrss is in kilobytes on Linux and in bytes on macOS.
    factor = 1 if sys.platform == "darwin" else 1024
    return {
        "peer": "re",
        "version": f"Python {platform.python_version()}",
        "seconds": seconds,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * factor,
        "answer": {"texts": len(texts), "sha256": hashlib.sha256("\n".join(texts).encode()).hexdigest()},
    }


def main():
    say({"ready": True, "peers": [{"name": "re", "version": f"Python {platform.python_version()}"}]})
    for line in sys.stdin:
        if not line.strip():
            continue
        try:
            say(answer(json.loads(line)))
        except Exception as error:
            say({"error": f"{type(error).__name__}: {error}"})


if __name__ == "__main__":
    main()
