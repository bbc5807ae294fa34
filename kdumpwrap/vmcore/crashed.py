"""The crash that a command is about, and the look-up of its kernel's files: of the build that crashed."""

from functools import lru_cache, partial
from typing import Optional, Tuple

from kdumpwrap.crashdir import crashfile, finder
from kdumpwrap.debuginfo import Search
from kdumpwrap.model.crash import Crash


def find(target: Optional[str], search: Search) -> Tuple[Crash, Search]:
    """The crash ``target`` (see finder.find), and ``search`` for the files of its kernel. Raises KdumpwrapError."""
    try:
        crash = finder.find(target, search.root)
    except finder.NothingSaved as error:
        from kdumpwrap import capturelog

        raise capturelog.nothing_saved(error.crash) from None
    return crash, search_of(crash, search)


def search_of(crash: Crash, search: Search) -> Search:
    """``search`` for the files of the kernel of ``crash``; its build id is read when, and if, that decides."""
    build_id = lru_cache(maxsize=1)(partial(_build_id, crash, search.debuginfod is not None))
    return search._replace(build_id=build_id)


def _build_id(crash: Crash, unpack: bool) -> Optional[str]:
    """The build id of the kernel that crashed, from its pack or its vmcore; None where neither has it.

    A vmcore that must be unpacked first is read only with ``unpack``.
    """
    if crash.packed and crash.dmesg is not None:
        pack = crashfile.pack(crash.dmesg)
        return pack.build_id if pack is not None else None
    from kdumpwrap.vmcore import vmcorelog

    return vmcorelog.build_id(crash.vmcore, unpack=unpack) if crash.vmcore is not None else None
