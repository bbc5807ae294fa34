"""The frame of every page: one file that fetches nothing. `esc` is the one escape function of the pages."""

import base64
import hashlib
import html
import json
import pkgutil
from typing import Iterable, Optional, Union

from kdumpwrap import __version__
from kdumpwrap.render.text import clean

Json = Union[None, int, float, str, Iterable["Json"]]


def esc(text: Optional[str]) -> str:
    """``text`` from a log or a tool as HTML text: ``&lt;``, control and direction characters as ``\\x1b``."""
    return html.escape(clean(text))


def path(text: Optional[str]) -> str:
    """``text`` as HTML; a line may break behind each slash."""
    return esc(text).replace("/", "/<wbr>")


def document(title: str, body: str, script: str, data: str = "") -> str:
    """A whole page. ``script`` is the name of one of our .js files; ``data`` is a JSON text for it.

    The content security policy allows this style sheet and this script alone, each by its hash. It blocks pictures,
    fonts, requests, and scripts injected by a log.
    """
    style, code = asset("style.css"), asset(script)
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(code)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    island = f'<script type="application/json" id="data">{data}</script>\n' if data else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta name="generator" content="kdumpwrap {__version__}">
<title>{esc(title)}</title>
<style>{style}</style>
</head>
<body>
{body}
<footer>Made by kdumpwrap {__version__}. This page is one file and fetches nothing.</footer>
{island}<script>{code}</script>
</body>
</html>
"""


def asset(name: str) -> str:
    """One of the package's own .css and .js files."""
    return (pkgutil.get_data(__package__, name) or b"").decode()


def island(value: Json) -> str:
    """``value`` as JSON that can stand in a script element: without ``<``, which could end it."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def pill(level: str) -> str:
    """A mark with the level of a statement, readable without colour."""
    return f'<span class="pill {esc(level)}">{esc(level)}</span>'


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
