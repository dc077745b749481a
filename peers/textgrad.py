"""What a user would pick today: the official package, through its client of OpenAI-compatible servers.

A request is {"peer": "textgrad", "base": "http://127.0.0.1:1234/v1", "shape": "chain" or "batch", "size": 20}; its time is that of building the
graph, going back through it and one step. The package is called as its documentation shows, one call after another. Replies are kept on
disk, as the package does; each run has a folder of its own, so that none is there before.
"""

import os
import sys
import tempfile

import contestant

# This file has the name of the package, which is to be imported from where packages are.
sys.path[:] = [place for place in sys.path if os.path.realpath(place or ".") != os.path.dirname(os.path.realpath(__file__))]
FOLDER = tempfile.TemporaryDirectory()
os.environ["TEXTGRAD_LOG_DIR"] = os.path.join(FOLDER.name, "logs")
os.environ.setdefault("OPENAI_API_KEY", "none")
# A dependency would look for prices on the network first.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"


def load_textgrad():
    import textgrad
    from openai import OpenAI
    from textgrad.engine.local_model_openai_api import ChatExternalClient

    return textgrad, OpenAI, ChatExternalClient


def main():
    versions, loaded = contestant.load({"textgrad": ("textgrad", load_textgrad)})

    def engine(base):
        _, client, external = loaded["textgrad"]
        os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(dir=FOLDER.name)
        made = external(client=client(base_url=base, api_key="none"), model_string="stub")
        made.requests = 0
        create = made.client.chat.completions.create

        def counted(*arguments, **options):
            made.requests += 1
            return create(*arguments, **options)

        made.client.chat.completions.create = counted
        return made

    def work(engine, shape, size):
        textgrad = loaded["textgrad"][0]
        textgrad.set_backward_engine(engine, override=True)
        loss = textgrad.TextLoss("Criticise this text.")
        if shape == "chain":
            improved = textgrad.Variable("the first text", role_description="first text", requires_grad=True)
            last = improved
            model = textgrad.BlackboxLLM(engine)
            for _ in range(size):
                last = model(last)
            loss(last).backward()
        else:
            improved = textgrad.Variable("Answer the question.", role_description="system prompt", requires_grad=True)
            model = textgrad.BlackboxLLM(engine, improved)
            losses = []
            for number in range(size):
                question = textgrad.Variable(f"question {number}", role_description="question", requires_grad=False)
                losses.append(loss(model(question)))
            textgrad.sum(losses).backward()
        textgrad.TextualGradientDescent(parameters=[improved], engine=engine).step()
        return {"requests": engine.requests, "improved": improved.value.startswith("note ")}

    def answer(request):
        work(engine(request["base"]), "batch", 2)
        made = engine(request["base"])
        return contestant.timed(lambda: work(made, request["shape"], int(request["size"])))

    contestant.serve(versions, answer)


if __name__ == "__main__":
    main()
