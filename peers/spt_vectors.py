"""Writes crates/language/tests/vectors/spt.json: sentences cut by spt_regex.py. Standard library only.

    python peers/spt_vectors.py crates/language/tests/vectors/spt.json
"""

import json
import random
import sys

from spt_regex import segment

WRITTEN = [
    "Daphne Barrington, known far and wide for being the director of \"A Journey\", lives in Rome.",
    "The composer of the symphony is called Uriah Hawthorne.",
    "Known for 3,000 songs at 12:30: J. K. Rowling, who was born in Oslo; and I?",
    "He said “Go, Ada!” and left. The Nile is long... Ask O'Neil-Smith (or Bo)!",
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen",
    "今日は雨、明日は晴れ。",
    "«Été» Été, naïve été; ÉTÉ",
    "an \"open quote never closes, is it",
    "It has been known as well as remembered for",
]
PIECES = [
    "Ada", "Bo", "J.", "I", "The", "the", "known", "as", "well", "has", "been", "for", "is", "Who", "who", "river", "éclair",
    "O'Neil", "3,000", "re-do", "\"", "“", "”", "„", "«", "»", ",", ";", ":", ".", "!", "?", "…", "(", ")", "、", "。", "'", "-", " ", "  ", "\n",
]


def main(path):
    generator = random.Random(0)
    cases = [(text, []) for text in WRITTEN]
    for _ in range(400):
        text = "".join(
            generator.choice(PIECES) + generator.choice(["", " ", " ", " "]) for _ in range(generator.randint(0, 16))
        )
        cuts = sorted(generator.sample(range(len(text) + 1), min(len(text) + 1, 2 * generator.randint(0, 2))))
        cases.append((text, list(zip(cuts[::2], cuts[1::2]))))
    vectors = [
        {
            "text": text,
            "spans": [[len(text[:begin].encode()), len(text[:end].encode())] for begin, end in spans],
            "units": [list(unit) for unit in segment(text, spans)],
        }
        for text, spans in cases
    ]
    with open(path, "w", encoding="utf-8") as file:
        file.write("[\n" + ",\n".join(json.dumps(vector, ensure_ascii=False) for vector in vectors) + "\n]\n")


if __name__ == "__main__":
    main(sys.argv[1])
