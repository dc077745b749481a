"""The splitter of spt written once more, with regular expressions, from the rules in its documentation.

It is the oracle of `spt_vectors.py` and what the bench compares sentences per second with. Spans are code points here and bytes in
the Rust crate.
"""

import re

CONNECTORS = (
    "is was are were has_been had_been became who whose which that where when while because and or but known_for known_as "
    "famous_for remembered_as remembered_for called named goes_by answers_to born_in such_as as_well_as"
).split()
OPENERS = set(
    "a after all although an as at before both by can did do does during each even every for from he her here his how if in it "
    "its no of on once she since the their there they this to we what with".split()
)
STARTS = {connector.split("_")[0] for connector in CONNECTORS}

WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
QUOTE = re.compile(r'"[^"]*"|“[^”]*”|„[^“”]*[“”]|«[^»]*»')
GLUE = re.compile(r"[\s.!?…。！？,;:，；：、)\]}”»]*")
FINAL = re.compile(r"[.!?…。！？]+\s*\Z")
CLAUSE_MARK = re.compile(r"[,;:](?=\s|\Z)|[，；：、]")
SENTENCE_MARK = re.compile(r"[.!?…。！？](?=\s)")
SENTENCE_END = re.compile(r"[.!?…。！？]\s+\Z")
# Longest first, so that "known as" wins over nothing and "has been" over none.
CONNECTOR = re.compile(
    "|".join(
        r"(?:%s)(?![^\W_]|['’-][^\W_])" % r"\s+".join(map(re.escape, connector.split("_")))
        for connector in sorted(CONNECTORS, key=lambda connector: -connector.count("_"))
    ),
    re.IGNORECASE,
)
LONGEST_UNIT = 8


def segment(text, spans=()):
    """The units of a sentence as (text, kind)."""
    spans = sorted(spans)
    final = FINAL.search(text)
    body_end = len(text)
    if final and final.start() > 0 and final.start() >= (spans[-1][1] if spans else 0):
        body_end = final.start()
    state = {"units": [], "open": None, "words": 0, "start": True}
    position = 0
    for begin, end in spans:
        quotes_and_rest(text, position, begin, state)
        protect(begin, "entity", state)
        position = end
    quotes_and_rest(text, position, body_end, state)
    units = state["units"]
    if not units and text:
        units.append((0, "clause"))
    elif body_end < len(text):
        units.append((body_end, "final"))
    if units:
        units[0] = (0, units[0][1])
    ends = [start for start, _ in units[1:]] + [len(text)]
    return [(text[start:end], kind) for (start, kind), end in zip(units, ends)]


def protect(start, kind, state):
    state["units"].append((start, kind))
    state.update(open=None, start=False)


def quotes_and_rest(text, begin, end, state):
    for quote in QUOTE.finditer(text, begin, end):
        stretch(text, begin, quote.start(), state)
        protect(quote.start(), "quote", state)
        begin = quote.end()
    stretch(text, begin, end, state)


def clause(position, state):
    if state["open"] != "clause":
        state["units"].append((position, "clause"))
        state.update(open="clause", words=0)


def glue(text, begin, end, state):
    found = GLUE.match(text, begin, end)
    if SENTENCE_END.search(found.group()):
        state["start"] = True
    return found.end()


def stretch(text, position, end, state):
    # Python's end argument cuts the text for \Z and lookaheads, as if it ended there.
    if state["units"]:
        position = glue(text, position, end, state)
    while position < end:
        word = WORD.match(text, position, end)
        if word:
            position = one_word(text, word, end, state)
        elif CLAUSE_MARK.match(text, position, end):
            clause(position, state)
            state["open"] = None
            position = glue(text, position, end, state)
        elif SENTENCE_MARK.match(text, position, end):
            clause(position, state)
            state.update(open=None, start=True)
            position = glue(text, position, end, state)
        else:
            if not text[position].isspace():
                clause(position, state)
            position += 1
    state["open"] = None


def capitalised(word):
    return word != "I" and word[0].isupper()


def name_end(text, word, end):
    return word.end() + 1 if len(word.group()) == 1 and text[word.end() : min(word.end() + 2, end)] == ". " else word.end()


def one_word(text, word, end, state):
    first, state["start"] = state["start"], False
    opener = word.group().lower() in OPENERS or word.group().lower() in STARTS
    if capitalised(word.group()) and not (first and opener):
        run = name_end(text, word, end)
        while True:
            space = re.compile(r"\s+").match(text, run, end)
            following = space and WORD.match(text, space.end(), end)
            if not following or not capitalised(following.group()):
                break
            run = name_end(text, following, end)
        protect(word.start(), "name", state)
        return glue(text, run, end, state)
    connector = CONNECTOR.match(text, word.start(), end)
    if connector:
        if state["open"] != "connector":
            state["units"].append((word.start(), "connector"))
            state["open"] = "connector"
        return re.compile(r"\s*").match(text, connector.end(), end).end()
    if state["open"] == "clause" and state["words"] >= LONGEST_UNIT:
        state["open"] = None
    clause(word.start(), state)
    state["words"] += 1
    return word.end()
