"""The file of ``kdumpwrap pack``: one JSON object with a crash's log and the facts of its kernel (pure).

    {"schema": "kdumpwrap-pack/1", "crash": {"path", "host", "time"}, "kernel": {"release", "arch", "build_id",
     "kaslr_offset"}, "code": "48 89 e5 …", "modules": {"xfs": "3f9c…"}, "facts": {"version": "Linux version …"},
     "log": "…"}

A pack names no file to write to. It is untrusted like a log: a value of another form is left out.
"""

import re
from types import MappingProxyType
from typing import Any, Dict, Mapping, NamedTuple, Optional

from kdumpwrap.host.release import known
from kdumpwrap.regex import regex

SCHEMA = "kdumpwrap-pack/1"
MAGIC = f'{{"schema": "{SCHEMA}"'.encode()
LARGEST = 128 << 20  # bytes of a pack at most
LOG = 16 << 20  # bytes of a log in a pack at most; the kernel's own buffer has 1 MB as a rule

_BUILD_ID = regex(r"[0-9a-f]{8,64}")
_NAME = regex(r"[A-Za-z0-9_][\w-]{0,63}", re.ASCII)
_ADDRESS = regex(r"0x[0-9a-f]{1,16}")
_TEXT = 256  # characters of a host's name, of a time
_MODULES = 1024
_DIGITS = 32


class Packed(NamedTuple):
    """A crash out of a pack. A value that is missing, or has another form, is None or empty."""

    log: bytes
    host: Optional[str] = None
    time: Optional[str] = None
    release: Optional[str] = None
    build_id: Optional[str] = None
    kaslr_offset: Optional[int] = None
    modules: Mapping[str, str] = MappingProxyType({})


def parse(data: bytes) -> Packed:
    """The crash in the pack ``data``. Raises ValueError when ``data`` is no pack, or a truncated one."""
    import json

    try:
        value = json.loads(data.decode("utf-8", "surrogatepass"), parse_int=_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(value, dict) or value.get("schema") != SCHEMA or not isinstance(value.get("log"), str):
        raise ValueError("no pack of a crash")
    crash, kernel, modules = (_object(value, name) for name in ("crash", "kernel", "modules"))
    named = [(name, _fits(_BUILD_ID, build_id)) for name, build_id in list(modules.items())[:_MODULES]]
    offset = _fits(_ADDRESS, kernel.get("kaslr_offset"))
    return Packed(
        _bytes(value["log"]),
        _short(crash.get("host")),
        _short(crash.get("time")),
        known(_short(kernel.get("release"))),
        _fits(_BUILD_ID, kernel.get("build_id")),
        int(offset, 16) if offset else None,
        {name: build_id for name, build_id in named if build_id is not None and _NAME.fullmatch(name)},
    )


def _number(digits: str) -> int:
    """A number of the pack. The time of int() grows with the square of the number of digits: many are refused."""
    if len(digits) > _DIGITS:
        raise ValueError("a number of too many digits")
    return int(digits)


def text(log: bytes) -> str:
    """``log`` as it stands in a pack; ``parse`` gives back the same bytes."""
    return log.decode("utf-8", "surrogateescape")


def _bytes(log: str) -> bytes:
    try:
        return log.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:  # a pack of another origin
        return log.encode("utf-8", "replace")


def _object(value: Dict[str, Any], name: str) -> Dict[str, Any]:
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def _short(value: Any) -> Optional[str]:
    return value if isinstance(value, str) and 0 < len(value) <= _TEXT and value.isprintable() else None


def _fits(form: "re.Pattern[str]", value: Any) -> Optional[str]:
    return value if isinstance(value, str) and form.fullmatch(value) else None
