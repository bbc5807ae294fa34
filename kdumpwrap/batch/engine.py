"""Every crash below a directory, analysed as by ``analyze``. The tools are asked once for all crashes of a kernel."""

import contextlib
import fnmatch
import itertools
from pathlib import Path
from typing import (
    Callable,
    Dict,
    Generator,
    Iterable,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    Union,
)

from kdumpwrap import analyze, capturelog, shell
from kdumpwrap.batch import news, saved, workers
from kdumpwrap.batch.kernels import KEPT, Kernels, Shared
from kdumpwrap.crashdir import finder
from kdumpwrap.debuginfo import Search
from kdumpwrap.errors import KdumpwrapError
from kdumpwrap.model.crash import Crash, Entry, Problem
from kdumpwrap.model.finding import Analysis
from kdumpwrap.model.log import Log
from kdumpwrap.parse import ndjson
from kdumpwrap.symbolize.symbolizer import Symbolizer
from kdumpwrap.tools import run

# Crashes whose questions are put to the tools together. The first chunk is small: the first answers come soon. Later
# chunks are larger, since an addr2line costs half a second. The largest one limits the memory.
_FIRST, _MOST = 100, 1000


class Selection(NamedTuple):
    """The crashes that are wanted. Patterns are shell patterns; without any, every crash is wanted."""

    since: Optional[str] = None  # ISO 8601
    hosts: Tuple[str, ...] = ()
    releases: Tuple[str, ...] = ()


class Done(NamedTuple):
    """The outcome of one crash."""

    crash: Crash
    analysis: Optional[Analysis] = None  # None: see `failure`. Of a saved answer, what parse.ndjson reads
    failure: Optional[Problem] = None  # why there is no analysis, or why it could not be saved
    line: Optional[str] = None  # the --json line of a saved answer
    stamp: Sequence[saved.File] = ()  # the state of the crash's files before they were read
    wanted: bool = True  # False: of an unwanted release, or not new


def candidates(entries: Iterable[Entry], selection: Selection) -> Tuple[Crash, ...]:
    """The crashes among ``entries`` that may be wanted. Their releases are not known yet."""
    return tuple(
        entry.crash
        for entry in entries
        if (selection.since is None or entry.crash.time is None or entry.crash.time >= selection.since)
        and _fits(entry.crash.host, selection.hosts)
    )


def outcomes(
    crashes: Sequence[Crash],
    search: Search,
    selection: Selection,
    *,
    jobs: int = 1,
    save_below: Sequence[Path] = (),
    reuse: bool = True,
    variables: bool = False,
    only_new: bool = False,
) -> Generator[Done, None, None]:
    """The outcome of each crash, in their order, as soon as it is known. A failure does not stop the others.

    ``jobs`` processes read the logs. With ``variables`` gdb is asked for the variables of many crashes at a time.
    ``save_below``: answers are kept beside the crashes below those directories. With ``reuse`` a saved answer that is
    still true is taken. ``only_new``: crashes that are not new (see news) are not wanted, but a saved answer that is
    no longer true is made anew.
    """
    known = saved.Known(search, variables)
    work = _reader(search, selection, known if save_below and reuse else None, only_new=only_new)
    with contextlib.closing(Kernels(search)) as kernels, contextlib.closing(workers.each(work, crashes, jobs)) as read:
        size = _FIRST
        while True:
            chunk = []
            for one in itertools.islice(read, size):
                if save_below and isinstance(one, _Read):
                    known.stamp(one.crash, one.log)  # before a tool opens what is stamped
                its = kernels.symbolizer(one.crash, one.log, one.beside) if isinstance(one, _Read) else None
                chunk.append((one, its))
            if not chunk:
                return
            for done in _analysed(chunk, kernels, variables):
                yield _kept(done, known, save_below, mark=only_new and done.wanted) if save_below else done
            kernels.close(but=KEPT)
            size = min(2 * size, _MOST)


class _Read(NamedTuple):
    """A crash with its log."""

    crash: Crash
    log: Log
    stamp: Sequence[saved.File]  # the state of its files before that
    beside: Optional[Path]  # its directory, if a vmlinux or modules lie there too
    wanted: bool = True


def _reader(
    search: Search, selection: Selection, known: Optional[saved.Known], *, only_new: bool = False
) -> Callable[[Crash], Union[_Read, Done]]:
    """The function that reads one crash; worker processes call it."""

    def read(crash: Crash) -> Union[_Read, Done]:
        try:
            new = not only_new or news.is_new(crash)
            line = saved.load(crash, known) if known else None
            if line is not None:
                analysis = ndjson.parse(line, ours=True) if new else None
                wanted = analysis is not None and _fits(analysis.kernel.release, selection.releases)
                return Done(crash, analysis, line=line, wanted=wanted)
            found, log, stamp = _log(crash, search)
            if not _fits(log.release, selection.releases):
                return Done(crash, wanted=False)
            return _Read(found, log, stamp, saved.beside(found), new)
        except KdumpwrapError as error:
            return Done(crash, failure=Problem(error.message, error.hint))
        except Exception as error:
            return _broken(crash, error)

    return read


def _log(crash: Crash, search: Search) -> Tuple[Crash, Log, Sequence[saved.File]]:
    """The crash, its log and its stamp. kdump may finish the crash, or a user remove it, during the read."""
    if crash.dmesg is None and crash.vmcore is None:
        raise capturelog.nothing_saved(crash)
    stamp = saved.stamp(crash)
    try:
        return crash, analyze.read(crash, search), stamp
    except KdumpwrapError:
        now = finder.inspect(crash.path)
        if now is None:
            raise KdumpwrapError(f"{crash.path}: gone since it was listed") from None
        if now == crash:
            raise
        stamp = saved.stamp(now)
        return now, analyze.read(now, search), stamp


def _analysed(
    chunk: Sequence[Tuple[Union[_Read, Done], Optional[Symbolizer]]], kernels: Kernels, variables: bool
) -> Iterator[Done]:
    """``chunk`` in its order, its crashes analysed kernel by kernel."""
    groups: Dict[Symbolizer, List[_Read]] = {}
    for one, symbolizer in chunk:
        if symbolizer is not None and isinstance(one, _Read):
            groups.setdefault(symbolizer, []).append(one)
    running = {
        symbolizer: _of_one_kernel(group, symbolizer, kernels.shared(symbolizer), variables)
        for symbolizer, group in groups.items()
    }
    for one, symbolizer in chunk:
        if isinstance(one, Done):
            yield one
        elif symbolizer is not None:
            yield next(running[symbolizer])


def _of_one_kernel(
    group: Sequence[_Read], symbolizer: Symbolizer, shared: Shared, variables: bool = False
) -> Iterator[Done]:
    """The analysis of each crash of ``group``; when one raises an exception, the others are analysed one by one.

    An exception may leave a symbolizer half-loaded, with half of the symbols: it is not asked again.
    """
    pairs = [(one.crash, one.log) for one in group]
    done = 0
    try:
        for one, analysis in zip(group, analyze.analyses(pairs, symbolizer, variables=variables, known=shared)):
            yield Done(one.crash, analysis, stamp=one.stamp, wanted=one.wanted)
            done += 1
    except Exception as error:
        symbolizer.broken = True
        if len(group) == 1:
            yield _broken(group[0].crash, error)
            return
        another: Optional[Symbolizer] = None
        try:
            for one in group[done:]:
                if another is None or another.broken:
                    if another is not None:
                        another.close()
                    another = symbolizer.again()
                yield from _of_one_kernel([one], another, {}, variables)
        finally:
            if another is not None:
                another.close()


def top(crash: Crash, below: Sequence[Path]) -> Path:
    """The one of the directories ``below`` that holds ``crash``, or is that crash itself."""
    path = Path(crash.path)
    return next((one for one in below if one == path or one in path.parents), below[0])


def _kept(done: Done, known: saved.Known, below: Sequence[Path], *, mark: bool) -> Done:
    if done.analysis is None or done.line is not None or run.stopped():  # a stopped tool may give half an answer
        return done
    try:
        saved.save(done.crash, done.analysis, done.stamp, known, top(done.crash, below), mark=mark)
    except KdumpwrapError as error:
        return done._replace(failure=Problem(error.message, error.hint))
    return done


def _fits(value: Optional[str], patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatch.fnmatchcase(value or "", pattern) for pattern in patterns)


def _broken(crash: Crash, error: Exception) -> Done:
    """The outcome of a crash on which kdumpwrap itself failed. The other crashes go on."""
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    return Done(
        crash,
        failure=Problem(f"{crash.path}: kdumpwrap failed ({what})", shell.hint("kdumpwrap analyze {}", crash.path)),
    )
