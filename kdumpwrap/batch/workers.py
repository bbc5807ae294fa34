"""Worker processes: they do the same work for many items and return the results in the items' order.

Each process takes every n-th item and sends the results down a pipe of its own: the first one at once, later ones
several together, since pickle then sends shared values once. The pipe is large: the processes go on while their parent
waits for the tools. A process that is far ahead waits for its pipe. A process whose parent is gone cannot write, and
ends.
"""

import contextlib
import fcntl
import multiprocessing
import os
import pickle
import signal
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from typing import Any, Callable, Generator, Iterator, List, Sequence, Tuple, TypeVar

from kdumpwrap.tools import run

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

WORTH = 32  # items: for fewer, a process would cost more than it saves
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AT_ONCE = 32  # results in one message at most; a result has some 3 KB, half of that when so many are together
_AHEAD = 1 << 20  # bytes that may wait in a pipe: the most that a user other than root gets
_ALL_AHEAD = 8 << 20  # bytes in all pipes, of the 64 MiB that a user has for pipes
_F_SETPIPE_SZ = 1031  # of <linux/fcntl.h>; Python 3.9 does not name it


def each(work: Callable[[_Item], _Result], items: Sequence[_Item], jobs: int) -> Generator[_Result, None, None]:
    """``work(item)`` for each item, in order, by ``jobs`` processes. ``work`` must not raise.

    Call it before any thread is started: the processes are forked.
    """
    jobs = min(jobs, len(items) // WORTH)
    if jobs < 2:
        yield from map(work, items)
        return
    readers: List[Connection] = []
    processes: List[ForkProcess] = []
    try:
        if not _start(work, items, jobs, readers, processes):
            _stop(processes)
            yield from map(work, items)
            return
        yield from _results(work, items, readers)
    finally:
        _stop(processes)
        for reader in readers:
            reader.close()


def _results(
    work: Callable[[_Item], _Result], items: Sequence[_Item], readers: Sequence[Connection]
) -> Iterator[_Result]:
    arriving = [_arriving(reader) for reader in readers]
    for index, item in enumerate(items):
        try:
            yield next(arriving[index % len(readers)])
        except StopIteration:  # the process was killed, such as by the OOM killer
            yield work(item)


def _start(
    work: Callable[[_Item], _Result],
    items: Sequence[_Item],
    jobs: int,
    readers: List[Connection],
    processes: List[ForkProcess],
) -> bool:
    """Start ``jobs`` processes, and add them and their pipes to the lists; False when the system refuses one."""
    fork = multiprocessing.get_context("fork")
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)  # a process gets them once its handlers are set
        for number in range(jobs):
            reader, writer = _pipe(min(_AHEAD, _ALL_AHEAD // jobs))
            readers.append(reader)
            mine = items[number::jobs]
            process = fork.Process(target=_serve, args=(work, mine, writer, tuple(readers)), daemon=True)
            process.start()
            processes.append(process)
            writer.close()
    except OSError:  # too few descriptors, or no more processes allowed
        return False
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return True


def _stop(processes: Sequence[ForkProcess]) -> None:
    """End them by SIGTERM, after a second by SIGKILL: one may ignore SIGTERM and wait for its pipe."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(1)
        if process.is_alive() and process.pid is not None:
            os.kill(process.pid, signal.SIGKILL)  # Process.kill is of Python 3.7
            process.join()


def _pipe(room: int) -> Tuple[Connection, Connection]:
    """The two ends of a pipe that holds ``room`` bytes."""
    reader, writer = multiprocessing.Pipe(duplex=False)
    with contextlib.suppress(OSError):  # the user's limit is reached: the default size serves
        fcntl.fcntl(writer.fileno(), _F_SETPIPE_SZ, room)
    return reader, writer


def _arriving(reader: Connection) -> Iterator[Any]:
    """The messages of a pipe, until its end."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            yield from pickle.loads(reader.recv_bytes())  # noqa: S301 from our own child


def _serve(
    work: Callable[[_Item], _Result], items: Sequence[_Item], writer: Connection, readers: Sequence[Connection]
) -> None:
    for reader in readers:  # an open reader would keep the pipe alive without the parent
        reader.close()
    sending = ending = False

    def end(_number: int, _frame: object) -> None:
        # no exception: one raised in a destructor is only printed
        nonlocal ending
        ending = True
        run.stop_all()
        if sending:  # the pipe may stay full
            os._exit(0)

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C, and ends this process
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, end)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)
    os.nice(5)  # the tools have priority: they run one after the other, and everything waits for them
    sent, count = 0, 1
    with contextlib.suppress(BrokenPipeError):
        while sent < len(items):
            results: List[_Result] = []
            for item in items[sent : sent + count]:
                if ending:
                    return
                results.append(work(item))
            message = pickle.dumps(results, pickle.HIGHEST_PROTOCOL)
            sending = True
            if ending:
                return
            writer.send_bytes(message)
            sending = False
            sent, count = sent + count, min(2 * count, _AT_ONCE)
