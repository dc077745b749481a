"""What a user would pick today to search passages, bm25s; and our own plain Python transcription of the published formulas of ProbTree,
which replays recorded trees.

A request is {"peer": "bm25s", "passages": "p.txt", "queries": "q.txt", "k": 5, "k1": 1.2, "b": 0.75, "repeat": 3}, one text per line, or
{"peer": "transcription", "trees": "released.json", "repeat": 3}. Its time is the median: of splitting, indexing and searching, or of
reading and choosing.
"""

import json
import platform

import contestant


def load_bm25s():
    import bm25s

    def search(passages, queries, k, k1, b):
        def split(texts):
            return bm25s.tokenize(texts, stopwords=None, token_pattern=r"(?u)\b\w+\b", show_progress=False)

        index = bm25s.BM25(method="lucene", k1=k1, b=b)
        index.index(split(passages), show_progress=False)
        found, scores = index.retrieve(split(queries), k=k, show_progress=False)
        return found, scores

    search(["a small text", "another one"], ["text"], 1, 1.2, 0.75)
    return search


def chosen(node, scores):
    """The answer and score that the published rule takes at a node, given the scores chosen below it."""
    answers = [(*node["cb_answer"], "Unknown"), (*node["ob_answer"], "Unknown")]
    if node["sons"]:
        text, explanation = node["child_answer"]
        below = [scores[son] for son in node["sons"]]
        combined = (explanation + node["qd_logprob"] + sum(below)) / (len(below) + 2)
        answers.append((text, combined, "Unknow"))
    counted = [("", -100) if "ERROR" in text or unknown in text else (text, score) for text, score, unknown in answers]
    return max(counted, key=lambda answer: answer[1])


def replay(path):
    with open(path, encoding="utf-8") as file:
        trees = json.load(file)
    answers = []
    for tree in trees:
        scores = []
        for node in tree:
            text, score = chosen(node, scores)
            scores.append(score)
        answers.append([text, score])
    return answers


def lines(path):
    with open(path, encoding="utf-8") as file:
        return file.read().splitlines()


def main():
    versions, loaded = contestant.load({"bm25s": ("bm25s", load_bm25s)})
    versions["transcription"] = f"Python {platform.python_version()}"

    def answer(request):
        repeat = int(request.get("repeat", 1))
        if request["peer"] == "transcription":
            seconds, answers = contestant.timed(lambda: replay(request["trees"]), repeat)
            return seconds, {"answers": answers}
        passages, queries = lines(request["passages"]), lines(request["queries"])
        k, k1, b = int(request["k"]), float(request["k1"]), float(request["b"])
        seconds, (found, scores) = contestant.timed(lambda: loaded["bm25s"](passages, queries, k, k1, b), repeat)
        return seconds, {"found": found.tolist(), "scores": scores.astype(float).tolist()}

    contestant.serve(versions, answer)


if __name__ == "__main__":
    main()
