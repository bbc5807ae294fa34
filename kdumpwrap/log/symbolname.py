"""Names of kernel functions without what compilers and architectures add to them (pure)."""

from functools import lru_cache
from typing import Pattern, Tuple

from kdumpwrap.regex import regex

LONGEST = 512  # KSYM_NAME_LEN since Linux 6.1; a longer text names no function

# x64_sys_write, arm64_sys_write, ia32_compat_sys_write, SyS_write, SYSC_write, ksys_write, do_sys_write
_SYSTEM_CALL = regex(r"(?:(?:x64|ia32|arm64|s390x?|riscv|powerpc|se|do)_)?k?(?:compat_)?(?:sys|SyS|SYSC)_(?P<name>\w+)")
# bpf_prog_6deef7357e7b4530_sd_devices, bpf_trampoline_6442453466_1: made at run time
_GENERATED = regex(r"(?P<name>bpf_(?:prog|trampoline))(?:_[0-9a-f]{16}|_\d+)*(?P<rest>_\w+)?")

_START = regex(r"(?:\w(?![?*+{]))*")  # the letters before anything that may vary; it matches everywhere
_CHOICE = regex(r"(?:\((?P<words>[^()]*)\)|(?P<letter>\w))(?P<often>[?*+{]?)")  # (dev|drm)_, (do_)?, v?


def plain(symbol: str) -> str:
    """The name as it stands in the source: ``__lock_acquire.constprop.0`` gives ``__lock_acquire``.

    Left out: what the compiler appends (``.isra.0``, ``.part.1``, ``.cold``, ``.llvm.123``), the dot of a ppc64 entry
    point, ``__pfx_`` of the padding before a function, ``__cfi_`` of the type word before it.
    """
    name = symbol.lstrip(".").split(".", 1)[0]
    for prefix in ("__pfx_", "__cfi_"):
        if name.startswith(prefix):
            name = name[len(prefix) :]
    return name


def bare(symbol: str) -> str:
    """`plain` without leading underscores: ``lock_acquire``."""
    return plain(symbol).lstrip("_")


def lasting(symbol: str) -> str:
    """`bare`, the same on every architecture and boot: ``__x64_sys_write`` gives ``sys_write``."""
    name = bare(symbol)
    match = _SYSTEM_CALL.fullmatch(name)
    if match:
        return f"sys_{match['name']}"
    match = _GENERATED.fullmatch(name)
    return f"{match['name']}{match['rest'] or ''}" if match else name


def matches(symbol: str, names: str) -> bool:
    """Whether the `bare` name of ``symbol`` matches, as a whole, one of the regular expressions in ``names``.

    They are split by blanks: ``"printk(_.*)? v?panic"``; within one, alternatives stand in parentheses.
    """
    name = bare(symbol)
    return len(name) <= LONGEST and any(
        name.startswith(starts) and _compiled(word).fullmatch(name) is not None for starts, word in _words(names)
    )


@lru_cache(maxsize=256)
def _words(names: str) -> Tuple[Tuple[Tuple[str, ...], str], ...]:
    """The expressions in ``names``, each with what its matches begin with: so few of them are ever compiled."""
    return tuple((_starts(word), word) for word in names.split())


def _starts(word: str) -> Tuple[str, ...]:
    """One of these every match of the expression ``word`` begins with: ``("do_sys", "sys")`` for "(do_)?sys.*"."""
    start = _literal(word)
    choice = None if start else _CHOICE.match(word)
    if choice is None or choice["often"] in ("+", "{"):
        return (start,)
    words, rest = (choice["words"] or choice["letter"]).split("|"), word[choice.end() :]
    starts = [one + _literal(rest) if one == _literal(one) else _literal(one) for one in words]
    if choice["often"] == "*":
        starts = [_literal(one) for one in words]
    return (*starts, *(_starts(rest) if choice["often"] else ()))


def _literal(word: str) -> str:
    match = _START.match(word)
    return match[0] if match else ""


@lru_cache(maxsize=1 << 12)
def _compiled(word: str) -> Pattern[str]:
    return regex(word)
