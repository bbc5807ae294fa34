"""Escapes for characters that must not reach a terminal (pure).

A log, a name or another host's answer may hold them. Control characters move the cursor, set the clipboard (OSC 52) or
clear the screen. Format characters change the direction of the text or are invisible.
"""

import re

from kdumpwrap.regex import regex
from kdumpwrap.shell import HIDDEN

_TEXT = regex(f"[{HIDDEN}]")
_FIELD = regex(f"[\\\\{HIDDEN}]")
_NAMED = {"\t": "\\t", "\n": "\\n", "\\": "\\\\"}


def shown(text: str) -> str:
    r"""``text`` on one line for a person: TABs become blanks, hidden characters ``\x1b`` or ``\u202e``."""
    return _TEXT.sub(_number, text.expandtabs())


def field(text: str) -> str:
    r"""``text`` to be read back later: a TAB is ``\t``, a newline ``\n``, a backslash ``\\``, ESC ``\x1b``."""
    return _FIELD.sub(lambda match: _NAMED.get(match[0]) or _number(match), text)


def _number(match: "re.Match[str]") -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
