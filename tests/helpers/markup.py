"""Reading back what a renderer wrote as HTML, and text that tries to become markup."""

import re
from dataclasses import fields, is_dataclass, replace
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from conftest import environment
from processes import ran

HOSTILE = "<script>alert(1)</script>\"onload='x' \x1b[31mred\x07 \u202eevil\u2066 &lt; </style></title>]]>"


class Page(HTMLParser):
    """Elements and attributes of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: List[Tuple[str, Dict[str, Optional[str]]]] = []
        self.text: List[str] = []
        self._skipped = 0
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._skipped += tag in ("script", "style")
        if tag not in ("b", "i", "code", "span", "wbr"):
            self.text.append(" ")

    def handle_endtag(self, tag: str) -> None:
        self._skipped -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.text.append(data)

    @property
    def words(self) -> str:
        return " ".join("".join(self.text).split())

    def classed(self, name: str) -> int:
        return sum(name in (attrs.get("class") or "").split() for _, attrs in self.elements)


def poisoned(value: Any) -> Any:
    """``value`` with HOSTILE behind every text in it, however deep."""
    if isinstance(value, str):
        return value + HOSTILE
    if isinstance(value, Path):
        return Path(str(value) + HOSTILE.replace("/", ""))
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: poisoned(getattr(value, one.name)) for one in fields(value)})
    if isinstance(value, tuple):
        parts = [poisoned(one) for one in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return value


def pasted(page: Path, shell: str = "bash") -> str:
    """What the commands of ``page`` print, pasted into a shell one after the other; each must succeed."""
    listed = re.search(r'<ol class="commands">(.*?)</ol>', page.read_text(), re.S)
    assert listed
    listing = [unescape(code) for code in re.findall(r"<code>(.*?)</code>", listed[1])]
    script = "".join(f"{command}\nstatus=$?; [ $status = 0 ] || exit $status\n" for command in listing)
    done = ran([shell], input=script, env=environment())
    assert done.returncode == 0, f"{listing}\n{done.stderr}"
    return done.stdout
