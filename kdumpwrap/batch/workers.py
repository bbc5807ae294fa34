"""The same work for many items, spread over processes, the results in the items' order.

Each process takes every n-th item and sends what it made of it down a pipe of its own. A thread empties the pipe, so
that the processes go on while their parent waits for the tools; one that is far ahead waits for its pipe, and one whose
parent is gone, killed or not, cannot write any more and ends.
"""

import contextlib
import multiprocessing
import os
import pickle
import signal
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from queue import Empty, Queue
from threading import Thread
from typing import Callable, Generator, List, Optional, Sequence, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

WORTH = 32  # items: for fewer, a process would cost more than it saves
_AHEAD = 1000  # results of a process that wait, of some 3 KB each: more than are read while the tools are asked


def each(work: Callable[[_Item], _Result], items: Sequence[_Item], jobs: int) -> Generator[_Result, None, None]:
    """``work(item)`` for each item, in order, by ``jobs`` processes. ``work`` must not raise.

    To be started before there are any threads: the processes are forked.
    """
    jobs = min(jobs, len(items) // WORTH)
    if jobs < 2:
        yield from map(work, items)
        return
    fork = multiprocessing.get_context("fork")
    readers: List[Connection] = []
    processes: List[ForkProcess] = []
    arrived: List[_Arrived] = []
    try:
        try:
            for number in range(jobs):
                reader, writer = fork.Pipe(duplex=False)
                readers.append(reader)
                mine = items[number::jobs]
                process = fork.Process(target=_serve, args=(work, mine, writer, tuple(readers)), daemon=True)
                process.start()
                processes.append(process)
                writer.close()
        except OSError:  # too few descriptors, or no more processes allowed
            _stop(processes)
            yield from map(work, items)
            return
        arrived += map(_Arrived, readers)  # threads, so after the last fork
        for index in range(len(items)):
            result = arrived[index % jobs].next()
            # none: the process was killed, by whoever is short of memory
            yield work(items[index]) if result is None else pickle.loads(result)  # noqa: S301 from our own child
    finally:
        _stop(processes)
        for one in arrived:
            one.close()
        for reader in readers:
            reader.close()


def _stop(processes: Sequence[ForkProcess]) -> None:
    """End them; one that has not heard, or waits for its pipe with the signal ignored, by force."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.join(1)
        if process.is_alive():
            process.kill()
            process.join()


class _Arrived:
    """What came down a pipe and was not asked for yet."""

    def __init__(self, reader: Connection) -> None:
        self._reader = reader
        self._waiting: Queue[Optional[bytes]] = Queue(_AHEAD)
        self._over = False
        self._thread = Thread(target=self._fetch, daemon=True)
        self._thread.start()

    def next(self) -> Optional[bytes]:
        """What comes next; None, now and for ever, when nothing more will come."""
        if not self._over:
            found = self._waiting.get()
            if found is not None:
                return found
            self._over = True
        return None

    def close(self) -> None:
        """To be called when nothing writes to the pipe any more."""
        while self._thread.is_alive():
            with contextlib.suppress(Empty):
                self._waiting.get(timeout=0.01)

    def _fetch(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                self._waiting.put(self._reader.recv_bytes())
        self._waiting.put(None)


def _serve(
    work: Callable[[_Item], _Result], items: Sequence[_Item], writer: Connection, readers: Sequence[Connection]
) -> None:
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):  # the parent ends us, and SIGTERM may come so
        for reader in readers:  # or the pipe would outlive the parent
            reader.close()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent
        os.nice(5)  # the tools go before: they work one after the other, and all wait for them
        for item in items:
            writer.send_bytes(pickle.dumps(work(item), pickle.HIGHEST_PROTOCOL))
    for number in (signal.SIGTERM, signal.SIGHUP):  # we are on our way out: once is enough
        signal.signal(number, signal.SIG_IGN)
