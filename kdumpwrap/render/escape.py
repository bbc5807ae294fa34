"""Escapes: characters that must not reach a screen, and how they are written instead (pure).

A log, a name or another host's answer may hold them: control characters move the cursor, set the clipboard (OSC 52) or
clear the screen; format characters turn the direction of the text or cannot be seen.
"""

import re

# Unicode's categories Cc, Cf, Zl, Zp, Cs, its property Default_Ignorable_Code_Point, noncharacters, and U+2800, which
# is a blank by its looks
_HIDDEN = (
    "\x00-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890-\u0891\u08e2\u115f-\u1160\u17b4-\u17b5"
    "\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u2800\u3164\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0"
    "\ufff0-\ufffb\ufffe-\uffff\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U000e0000-\U000e0fff"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(1, 17))
)
_TEXT = re.compile(f"[{_HIDDEN}]")
_FIELD = re.compile(f"[\\\\{_HIDDEN}]")
_NAMED = {"\t": "\\t", "\n": "\\n", "\\": "\\\\"}


def shown(text: str) -> str:
    r"""``text`` on one line for a person: a TAB as blanks, what is hidden as ``\x1b`` or ``\u202e``."""
    return _TEXT.sub(_number, text.expandtabs())


def field(text: str) -> str:
    r"""``text`` so that it can be read back: a TAB is ``\t``, a newline ``\n``, a backslash ``\\``, ESC ``\x1b``."""
    return _FIELD.sub(lambda match: _NAMED.get(match[0]) or _number(match), text)


def _number(match: "re.Match[str]") -> str:
    code = ord(match[0])
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
