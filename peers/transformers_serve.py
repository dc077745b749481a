"""The same model in process and behind a real server: `transformers serve` on the loopback interface gives the same greedy answers.

    python transformers_serve.py path/to/backstitch

Exports an embedded model, serves it, runs `fobar` in process, and puts the same questions to the server. They are put here rather than by
the program: it sends a stop text, and this server fails on any for a tokenizer of whole words. Needs the packages of
requirements-transformers-serve.txt.
"""

import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

QUESTIONS = 30
START_SECONDS = 300


def run(program, *arguments):
    done = subprocess.run([program, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, arguments))}: exit code {done.returncode}\n{done.stderr}")
    return done


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_for(address, server):
    for _ in range(START_SECONDS):
        if server.poll() is not None:
            raise SystemExit(f"the server ended with {server.returncode}")
        try:
            urllib.request.urlopen(f"{address}/health", timeout=1)
            return
        except OSError:
            time.sleep(1)
    raise SystemExit("the server did not come up")


def served(address, model, prompt):
    """The greedy answer of the server, without the spaces that tokenizers of words leave open."""
    body = {"model": str(model), "messages": [{"role": "user", "content": prompt}], "max_tokens": 40, "temperature": 0}
    request = urllib.request.Request(
        f"{address}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as reply:
        return json.load(reply)["choices"][0]["message"]["content"].split()


def main():
    program = Path(sys.argv[1]).resolve()
    folder = Path(tempfile.mkdtemp())
    model, questions, recording = folder / "model", folder / "questions.jsonl", folder / "recording.jsonl"
    run(program, "embedded", "export", "--skill", "arithmetic", "--out", model)
    run(program, "embedded", "questions", "--skill", "arithmetic", "--count", str(QUESTIONS), "--out", questions)
    (folder / "bare.json").write_text(json.dumps({"system": "", "role": "", "forward": [], "backward": []}))
    # The vote of one sample at temperature 0.
    fobar = ["run", "fobar", "--data", questions, "--prompts", folder / "bare.json", "--samples", "1"]
    fobar += ["--temperature", "0", "--alpha", "1", "--max-tokens", "40", "--model", model, "--no-cache"]
    run(program, *fobar, "--record", recording, "--out", folder / "answers.jsonl")
    with open(recording) as file:
        recorded = [json.loads(line) for line in file]
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    log = open(folder / "server.log", "w")
    command = [Path(sys.executable).parent / "transformers", "serve", "--host", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_for(address, server)
        same = 0
        for line in recorded:
            prompt = line["request"]["prompt"]["messages"][0]["content"]
            same += served(address, model, prompt) == line["reply"]["text"].split()
    finally:
        server.terminate()
        server.wait()
    print(f"{same} of {len(recorded)} greedy answers are the same")
    sys.exit(same != len(recorded) or same != QUESTIONS)


if __name__ == "__main__":
    main()
