"""The published rules in Python (our own transcription, fobar_rules.py) beside the program; alone, and with DSPy as the client of a server.

A request is {"peer": "python", "replies": "replies.json", "repeat": 3}: a list of {"prompt", "question", "replies"} and, backward, "masked"
and "candidate"; from the replies come candidates, votes, recovered numbers and the chosen answers. Its time is the median, reading the
file left out.

Or {"peer": "dspy", "base": "http://127.0.0.1:1234/v1", "prompts": "prompts.json", "forward": 10, "backward": 8, …}: the same list without
replies, which the server gives, one per request. Prompts go to DSPy's language model from as many threads as the program has; replies are
kept on disk, as DSPy does. It asks for each sample by itself.
"""

import json
import os
import platform
import tempfile
from concurrent.futures import ThreadPoolExecutor

import contestant
from fobar_rules import BACKWARD, FORWARD, last_number, probabilities

ALPHA = 0.5
FOLDER = tempfile.TemporaryDirectory()
os.environ["DSPY_CACHEDIR"] = FOLDER.name
# A dependency would look for prices on the network first.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"


def choose(forward, backward):
    """The answer of a question, from its forward replies and from its backward replies by (masked number, candidate)."""
    counts = {}
    for reply in forward:
        answer = last_number(reply, FORWARD)
        counts[answer] = counts.get(answer, 0) + 1
    candidates = list(counts)
    if len(candidates) == 1:
        return candidates[0]
    recovered = [0] * len(candidates)
    for place, candidate in enumerate(candidates):
        for masked, replies in backward.get(candidate, []):
            recovered[place] += sum(last_number(reply, BACKWARD) == masked for reply in replies)
    _, _, combined = probabilities(list(counts.values()), recovered, ALPHA)
    return candidates[combined.index(max(combined))]


def from_replies(request):
    with open(request["replies"]) as file:
        answered = json.load(file)
    forward, backward = {}, {}
    for entry in answered:
        question = entry["question"]
        if "candidate" in entry:
            of_candidate = backward.setdefault(question, {}).setdefault(entry["candidate"], [])
            of_candidate.append((entry["masked"], entry["replies"]))
        else:
            forward[question] = entry["replies"]

    def work():
        return [choose(forward[question], backward.get(question, {})) for question in sorted(forward)]

    work()
    seconds, answers = contestant.timed(work, int(request["repeat"]))
    return seconds, {"answers": answers}


def from_server(dspy, request):
    with open(request["prompts"]) as file:
        prompts = json.load(file)
    model = dspy.LM("openai/stub", api_base=request["base"], api_key="none", max_tokens=512)
    requests = []

    def ask(asked):
        prompt, samples = asked
        requests.append(samples)
        return model(prompt=prompt, n=samples, temperature=request["temperature"])

    def work(prompts):
        requests.clear()
        questions = sorted({entry["question"] for entry in prompts})
        with ThreadPoolExecutor(request["concurrency"]) as threads:
            first = [entry for entry in prompts if "candidate" not in entry]
            replies = threads.map(ask, [(entry["prompt"], request["forward"]) for entry in first])
            forward = {entry["question"]: found for entry, found in zip(first, replies)}
            candidates = {question: {last_number(reply, FORWARD) for reply in forward[question]} for question in questions}
            second = [
                entry
                for entry in prompts
                if len(candidates[entry["question"]]) > 1 and entry.get("candidate") in candidates[entry["question"]]
            ]
            replies = threads.map(ask, [(entry["prompt"], request["backward"]) for entry in second])
            backward = {}
            for entry, found in zip(second, replies):
                of_candidate = backward.setdefault(entry["question"], {}).setdefault(entry["candidate"], [])
                of_candidate.append((entry["masked"], found))
        answers = [choose(forward[question], backward.get(question, {})) for question in questions]
        return {"answers": answers, "requests": sum(requests)}

    # The replies of the warm-up are kept elsewhere, or they would not be asked for again.
    dspy.configure_cache(enable_disk_cache=True, enable_memory_cache=True, disk_cache_dir=os.path.join(FOLDER.name, "warm-up"))
    work([entry for entry in prompts if entry["question"] < request["warm_up"]])
    kept = tempfile.mkdtemp(dir=FOLDER.name)
    dspy.configure_cache(enable_disk_cache=True, enable_memory_cache=True, disk_cache_dir=kept)
    return contestant.timed(lambda: work(prompts))


def load_dspy():
    import dspy

    return dspy


def main():
    versions, loaded = contestant.load({"dspy": ("dspy", load_dspy)})

    def answer(request):
        return from_server(loaded["dspy"], request) if request["peer"] == "dspy" else from_replies(request)

    contestant.serve({"python": platform.python_version()} | versions, answer)


if __name__ == "__main__":
    main()
