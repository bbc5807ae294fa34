"""Every field of every value, filled with text that wants to be more than text, through every renderer.

The same values filled with harmless words say what the output has to look like: as many lines, as many fields, the same
elements, the same Markdown. What hostile text changes in that is an injection.
"""

import json
import re
import unicodedata
from collections import Counter
from dataclasses import fields, is_dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple, Union, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from kdumpwrap import shell
from kdumpwrap.cli import output
from kdumpwrap.model.annotation import Line
from kdumpwrap.model.bugs import Group
from kdumpwrap.model.crash import Problem
from kdumpwrap.model.fetched import Build, Fetched
from kdumpwrap.model.finding import Analysis, Listing
from kdumpwrap.model.host import Check, Diagnosis, Step
from kdumpwrap.model.vmcore import Answer, VmcoreFacts
from kdumpwrap.render import annotate, batch, crash, crashes, doctor, fetched, keys, markdown, raw, text, vmcore
from kdumpwrap.render import json as ndjson
from kdumpwrap.render.html import crash as page
from kdumpwrap.render.html import overview
from kdumpwrap.render.walker import lines

# ---------------------------------------------------------------- what cannot be seen, or moves what can

IGNORABLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u180e\u200b\u2060\u206f\u2800\u3164\ufe0f\ufeff\uffa0\U000e0041\U000e0100"
)


def hidden(character: str) -> bool:
    return character != "\n" and (
        unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") or character in IGNORABLE
    )


FRAGMENTS = [
    *(
        "\x1b]52;c;ZXZpbA==\x07\x1b[2J",
        "\x1b]0;OWNED\x07",
        "\x9b31m\x9d\x90\x85",
        "\r\n",
        "\n",
        "\t",
        "\0",
        "\x7f",
        "\\",
    ),
    *("\u202e\u2066abc\u2069", *IGNORABLE, "\ud800", "\udcff", "\u2028\x0b\x0c\x1c\x85", "\\x1b[2J", "\\n"),
    *("<script>alert(1)</script>", "<img src=x onerror=alert(2)>", "</code></style></title>]]>--><!--", "&lt;&#x3c;"),
    *('" onmouseover="alert(1)" x=\'', "javascript:alert(1)", "</script>", "'", '"', "<", ">", "&"),
    *("`x` ``` ~~~", "| a | b |", "[a](http://evil)", "![i](http://evil/x.png)", "@all #1", "*x* _y_ **z**", "~~s~~"),
    *(
        "\n# head\n",
        "\n> q\n",
        "\n---\n",
        "\n1. x\n",
        "http://evil.example/",
        "<http://evil.example>",
        "[bold red]x[/]",
    ),
    *("$(touch RAN)", ";touch RAN;", "%s%n{0}{}", "=cmd|'/C calc'!A0", "-rf", "../../etc/passwd", " " * 60, "d" * 300),
]
hostile = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=4), min_size=1, max_size=5).map("".join)


# ---------------------------------------------------------------- values with every field filled

# fields whose words are ours: a renderer looks them up, no log can reach them
OURS: Dict[Tuple[str, str], Any] = {
    ("Analysis", "fatal"): 0,
    ("Check", "status"): "fail",
    ("Check", "side"): "capture",
    ("Instruction", "fault"): True,
}


class Filler:
    """Makes a value of any type, each text in it another of ``texts`` behind a word that no other has.

    The word holds the letters of a module out of tree: which flags there are decides what is said.
    """

    def __init__(self, texts: List[str]) -> None:
        self.texts, self.count = texts, 0
        self.begun: List[Any] = []  # the types of the values that hold the one being made

    def text(self) -> str:
        self.count += 1
        return f"w{self.count}qOPE{self.texts[self.count % len(self.texts)]}"

    def make(self, kind: Any) -> Any:
        origin, args = getattr(kind, "__origin__", None), [*getattr(kind, "__args__", [])]
        if kind is shell.Hint:
            return shell.own(self.text())
        if kind is str:
            return self.text()
        if kind is Path:
            return Path("/", self.text().replace("/", "").replace("\0", ""))
        if kind in (int, float, bool, bytes):
            return {int: 1, float: 1.5, bool: True, bytes: b"\x90\x90"}[kind]
        if origin is Union:
            return None if args[0] in self.begun else self.make(args[0])  # Optional: None in a value of its own type
        if origin is tuple:
            return (self.make(args[0]),) if args[-1] is Ellipsis else tuple(map(self.make, args))
        if origin is Counter or kind is Counter:
            return Counter({self.make(args[0]): 1})
        if is_dataclass(kind):
            names = [one.name for one in fields(kind)]
        elif hasattr(kind, "_fields"):
            names = [*kind._fields]
        else:  # a Literal, an Enum
            return args[0] if args else next(iter(kind))
        types = get_type_hints(kind)
        self.begun.append(kind)
        made = kind(**{name: OURS.get((kind.__name__, name)) or self.field(kind, name, types) for name in names})
        self.begun.pop()
        return made

    def field(self, kind: Any, name: str, types: Dict[str, Any]) -> Any:
        return 0 if (kind.__name__, name) in OURS else self.make(types[name])


class Rendering(NamedTuple):
    name: str
    render: Callable[[Filler], str]


def bug(fill: Filler) -> overview.Bug:
    return overview.bug(fill.make(Analysis), "0123456789ab.html", [fill.make(page.Case)])


def whole_page(fill: Filler) -> str:
    analysis, facts = fill.make(Analysis), fill.make(VmcoreFacts)
    lines = [(number, fill.text()) for number in (1, 2)]
    return page.page(analysis, lines, [fill.text()], [fill.make(page.Case)], facts)


def report(fill: Filler) -> str:
    """As `analyze --raw` and `analyze --vmcore` print it: the report, then what crash says."""
    return raw.render(fill.make(Analysis), all_reports=True) + vmcore.raw(fill.make(VmcoreFacts))


def annotated(fill: Filler) -> str:
    """What annotate adds to a line, for whomever, and on a terminal the line with it."""
    line = fill.make(Line)
    added = b"".join(piece.data for piece in annotate.pieces(line) if piece.added).decode()
    words = (
        fill.text().replace("\n", " ").encode("utf-8", "surrogatepass")
    )  # of the log, which annotate leaves as it is
    return added + annotate.on_terminal(words + b"\n")


TEXTS = [
    Rendering("analyze", lambda fill: text.render(fill.make(Analysis), all_reports=True)),
    Rendering("resolve", lambda fill: text.resolved(fill.text(), fill.make(get_type_hints(Listing)["frame"]))),
    Rendering("disasm", lambda fill: text.listing(fill.make(Listing))),
    Rendering("vmcore", lambda fill: vmcore.text(fill.make(VmcoreFacts))),
    Rendering("list", lambda fill: crashes.text([fill.make(crashes.Listed)])),
    Rendering("batch", lambda fill: batch.text([fill.make(Group)])),
    Rendering("doctor", lambda fill: doctor.text(fill.make(Diagnosis), verbose=True)),
    Rendering("crash", lambda fill: crash.text([fill.make(Answer)])),
    Rendering("annotate", annotated),
    Rendering("fetch", lambda fill: fetched.text(fill.make(Fetched))),
    Rendering("fetch --list", lambda fill: fetched.kept_text([fill.make(Build)])),
]
RAWS = [
    Rendering("analyze", report),
    Rendering("resolve", lambda fill: raw.resolved(fill.text(), fill.make(get_type_hints(Listing)["frame"]))),
    Rendering("disasm", lambda fill: raw.listing(fill.make(Listing))),
    Rendering("list", lambda fill: crashes.raw([fill.make(crashes.Listed)])),
    Rendering("row", lambda fill: batch.row(fill.make(get_type_hints(Group)["newest"]))),
    Rendering("batch", lambda fill: batch.raw([fill.make(Group)])),
    Rendering("doctor", lambda fill: doctor.raw(fill.make(Diagnosis))),
    Rendering("fetch", lambda fill: fetched.raw(fill.make(Fetched))),
    Rendering("fetch --list", lambda fill: fetched.kept_raw([fill.make(Build)])),
    Rendering("problem", lambda fill: raw.row(*fill.make(Problem)[:2])),
]
JSONS = [
    Rendering("analyze", lambda fill: ndjson.render(fill.make(Analysis), fill.make(VmcoreFacts))),
    Rendering("resolve", lambda fill: ndjson.resolved(fill.text(), fill.make(get_type_hints(Listing)["frame"]))),
    Rendering("disasm", lambda fill: ndjson.listing(fill.text(), fill.make(Listing))),
    Rendering("list", lambda fill: lines([fill.make(crashes.Listed)], keys.LISTED)),
    Rendering("batch", lambda fill: lines([fill.make(Group)], keys.GROUP)),
    Rendering("doctor", lambda fill: lines([fill.make(Diagnosis)], keys.DIAGNOSIS)),
    Rendering("crash", lambda fill: lines([fill.make(Answer)], keys.ANSWER)),
    Rendering("fetch", lambda fill: lines([fill.make(Fetched)], keys.FETCHED)),
    Rendering("fetch --list", lambda fill: lines([fill.make(Build)], keys.KEPT)),
]
PAGES = [
    Rendering("crash", whole_page),
    Rendering("index", lambda fill: overview.index([bug(fill)], [fill.make(Problem)], fill.text())),
]


def both(rendering: Rendering, texts: List[str]) -> Tuple[str, str]:
    """With ``texts`` in every field, and with nothing but harmless words."""
    return rendering.render(Filler(texts)), rendering.render(Filler([""]))


def each(renderings: List[Rendering]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("rendering", renderings, ids=[one.name for one in renderings])


generated = given(st.lists(hostile, min_size=1, max_size=3))
few = settings(max_examples=40, deadline=None)
EVERYTHING = ["".join(FRAGMENTS), *FRAGMENTS]


# ---------------------------------------------------------------- for people, for scripts, for programs


@each(TEXTS)
@generated
@few
def test_text_for_people_has_nothing_hidden(rendering: Rendering, texts: List[str]) -> None:
    found, meant = both(rendering, texts)
    assert not [*filter(hidden, found)]
    if rendering.name != "crash":  # the answer's own lines
        assert found.count("\n") == meant.count("\n")


@each(TEXTS)
def test_every_fragment_in_every_field(rendering: Rendering) -> None:
    for one in EVERYTHING:
        found, meant = both(rendering, [one])
        assert not [*filter(hidden, found)]
        assert found.count("\n") == meant.count("\n") or rendering.name == "crash"


@each(RAWS)
@generated
@few
def test_rows_keep_their_fields(rendering: Rendering, texts: List[str]) -> None:
    found, meant = both(rendering, texts)
    assert not [*filter(hidden, found.replace("\t", ""))]

    def shape(rows: str) -> List[Tuple[str, int]]:
        first = rendering.name == "analyze"
        return [(row.split("\t")[0] if first else "", row.count("\t")) for row in rows.split("\n")]

    assert shape(found) == shape(meant)


@each(JSONS)
@generated
@few
def test_objects_say_what_was_said(rendering: Rendering, texts: List[str]) -> None:
    found, meant = both(rendering, texts)
    assert found.endswith("\n") and found.encode("ascii") and found[:-1].isprintable()

    def keys(value: Any) -> Any:
        if isinstance(value, dict):
            return [keys(one) for one in value.values()]
        return [keys(one) for one in value] if isinstance(value, list) else type(value)

    assert keys(json.loads(found)) == keys(json.loads(meant))


# ---------------------------------------------------------------- pages


class Elements(HTMLParser):
    """The elements of a page, less those that only colour or break words."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.found: List[Tuple[str, Tuple[str, ...]]] = []
        self.values: List[str] = []
        self.data: List[str] = []
        self.feed(document)
        self.close()

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        self.values += [value or "" for _, value in attrs]
        if tag not in ("wbr", "i", "b"):
            self.found.append((tag, tuple(sorted(name for name, _ in attrs))))

    def handle_comment(self, data: str) -> None:
        self.found.append(("comment", ()))

    def handle_data(self, data: str) -> None:
        self.data.append(data)


@each(PAGES)
@generated
@few
def test_pages_hold_the_elements_that_were_meant(rendering: Rendering, texts: List[str]) -> None:
    found, meant = map(Elements, both(rendering, texts))
    assert found.found == meant.found
    assert not [
        character
        for part in [*found.data, *found.values]
        for character in part
        if hidden(character) and character != "\n"
    ]
    assert all(not value.startswith("javascript:") for value in found.values)


# ---------------------------------------------------------------- Markdown

FORGE = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def tokens(document: str) -> Iterator[str]:
    """What a forge makes of it; where text is split in pieces does not count."""
    for block in FORGE.parse(document):
        for one in (block, *(block.children or ())):
            if one.type == "text" and re.search(r"(?<![\w&])[@#]\w", one.content):
                yield "mention"
            mark = one.type == "code_inline" and one.content in "@#"  # ours, so that they mention nobody
            if one.type not in ("text", "softbreak") and not mark:
                yield one.type


@generated
@few
def test_markdown_stays_as_it_was_meant(texts: List[str]) -> None:
    texts = [text[:12] for text in texts]  # a hint that is too long is left out: that has tests of its own

    def render(fill: Filler) -> str:
        return markdown.render(fill.make(Analysis), [fill.text()], fill.make(VmcoreFacts))

    found, meant = both(Rendering("markdown", render), texts)
    assert not [*filter(hidden, found)]
    # a command that is too long is left out, and with it the block of its own
    wanted = (
        [*tokens(meant)]
        if "Found with" in found or "Found with" not in meant
        else [*tokens(meant.split("Found with")[0])]
    )
    assert [*tokens(found)] == wanted


# ---------------------------------------------------------------- errors


@generated
@few
def test_errors_are_one_line_each(texts: List[str]) -> None:
    import contextlib
    import io

    fill, stream = Filler(texts), io.StringIO()
    with contextlib.redirect_stderr(stream):
        output.problems([fill.make(Problem)])
    assert stream.getvalue().count("\n") == 2
    assert not [*filter(hidden, stream.getvalue())]


def test_the_filler_leaves_no_field_empty() -> None:
    def walk(value: Any) -> Iterator[Any]:
        yield value
        if is_dataclass(value) and not isinstance(value, type):
            for one in fields(value):
                yield from walk(getattr(value, one.name))
        elif isinstance(value, tuple):
            for one in value:
                if one is not None or not isinstance(value, Step):  # a step's later step has no later one
                    yield from walk(one)

    for kind in (Analysis, VmcoreFacts, Diagnosis, Listing, Check):
        assert all(one not in (None, "", ()) for one in walk(Filler(["x"]).make(kind)))
