"""The crashes of many hosts, from the output of ``batch --json`` on each of them."""

import os
import sys
from pathlib import Path
from typing import IO, Iterator, NamedTuple, Optional, Sequence, Set, Tuple, Union

from kdumpwrap import shell
from kdumpwrap.host import files
from kdumpwrap.model.bugs import Row, row
from kdumpwrap.parse import ndjson
from kdumpwrap.regex import regex
from kdumpwrap.shell import NONE, Hint

_LINE = 64 << 20  # bytes: the largest logs give a few MB
# the address that kdump names a directory with when the dump stays on the host
_HERE = ("127.0.0.1", "::1", None)
_SUFFIX = regex(r"\.(?:json|ndjson|jsonl|txt|out)$")
# "web1\t{…": what GNU parallel --tag puts before each line
_TAGGED = regex(r"(?P<tag>[^\s{\[]{1,256})\t(?=\{)")


_NAMED = 5  # lines that are no crash: so many of a file are named one by one


class Bad(NamedTuple):
    """A line or file that is no crash, and why."""

    message: str
    hint: Hint = NONE


def rows(names: Sequence[str]) -> Iterator[Union[Row, Bad]]:
    """A row for each crash in ``names`` ("-": standard input), each crash once; and a Bad for what is no crash.

    A dump that stayed on its host names no host. Its host is the tag before its line (GNU parallel --tag), else the
    name of its file without the suffix. Without both, crashes of the same second are distinguished by the process, the
    time since boot and the registers.
    """
    seen: Set[object] = set()
    for file in names:
        strange, known = [], 0  # numbers of lines that are not of batch --json; count of lines that are
        try:
            for number, line in enumerate(_lines(file), 1):
                found = _row(line, file)
                if found is None:
                    strange.append(number)
                    continue
                known += 1
                if isinstance(found, Bad):
                    yield found
                    continue
                crash, key = found
                if key not in seen:
                    seen.add(key)
                    yield crash
        except OSError as error:
            yield Bad(f"{file}: {files.reason(error)}")
        yield from _strange("standard input" if file == "-" else file, strange, known)


def _strange(name: str, numbers: Sequence[int], known: int) -> Iterator[Bad]:
    """Messages on the lines ``numbers``, which are not of ``batch --json``; ``known``: how many are."""
    if numbers and not known:
        yield Bad(f"{name}: no line of it is of batch --json", shell.hint("kdumpwrap batch --json >FILE"))
        return
    for number in numbers[:_NAMED]:
        yield Bad(f"{name}, line {number}: not of batch --json")
    if len(numbers) > _NAMED:
        yield Bad(f"{name}: {len(numbers) - _NAMED} more lines are not of batch --json")


def _row(line: str, file: str) -> Union[Tuple[Row, object], Bad, None]:
    """The crash in ``line`` and the key that identifies it; None when there is none."""
    tagged = _TAGGED.match(line)
    analysis = ndjson.parse(line[tagged.end() :] if tagged else line)
    if analysis is None:
        return None
    host = analysis.crash.host
    if host in _HERE:
        host = (_login(tagged["tag"]) if tagged else _stem(file)) or host
    found = row(analysis)
    if found is None:
        why = analysis.problems[0].message if analysis.problems else f"{analysis.crash.path}: no report of a crash"
        return Bad(f"{host}: {why}" if host else why)
    (finding,) = analysis.findings
    report = finding.resolution.report
    said = (report.headline, report.time, report.cpu, report.pid, report.comm, report.fault_address, report.registers)
    return found._replace(host=host), (host, found.path, found.time, said if host in _HERE else None)


def _login(tag: str) -> str:
    """The host in a --sshlogin of GNU parallel: ``root@web1``, ``8/web1``; ``:`` is this host."""
    return os.uname().nodename if tag == ":" else tag.rpartition("@")[2].rpartition("/")[2]


def _stem(file: str) -> Optional[str]:
    """The host after which a file is named: web1.example.com.ndjson; not what batch --save calls each of its own."""
    name = _SUFFIX.sub("", Path(file).name)
    return None if file == "-" or name == "kdumpwrap" else name


def _lines(file: str) -> Iterator[str]:
    if file == "-":
        yield from _cut(sys.stdin.buffer)
        return
    own = files.own_descriptor(file)
    with os.fdopen(os.dup(own) if own is not None else files.open_file(file, limit=None), "rb") as opened:
        yield from _cut(opened)


def _cut(opened: IO[bytes]) -> Iterator[str]:
    """The lines that are not empty; a line longer than the limit comes in pieces, which are no JSON."""
    for line in iter(lambda: opened.readline(_LINE), b""):
        text = line.decode("utf-8", "backslashreplace").strip()
        if text:
            yield text
