"""The same work for many items, spread over processes, the results in the items' order.

Each process takes every n-th item and sends what it made of it down a pipe of its own. There is no queue: a process
that is ahead waits for its pipe, and one whose parent is gone, killed or not, cannot write any more and ends.
"""

import contextlib
import fcntl
import multiprocessing
import pickle
import signal
from multiprocessing.connection import Connection
from typing import Callable, Generator, List, Sequence, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

WORTH = 32  # items: for fewer, a process would cost more than it saves
_SET_PIPE_SIZE = 1031  # F_SETPIPE_SZ of linux/fcntl.h; the module fcntl has it since Python 3.10
_AHEAD = 1 << 20  # bytes of results that wait in a pipe; the most that is allowed to those who are not root


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
    processes = []
    try:
        for number in range(jobs):
            reader, writer = fork.Pipe(duplex=False)
            with contextlib.suppress(OSError):
                fcntl.fcntl(writer.fileno(), _SET_PIPE_SIZE, _AHEAD)
            readers.append(reader)
            process = fork.Process(target=_serve, args=(work, items[number::jobs], writer, tuple(readers)), daemon=True)
            process.start()
            processes.append(process)
            writer.close()
        for index in range(len(items)):
            try:
                yield pickle.loads(readers[index % jobs].recv_bytes())  # noqa: S301 from our own child
            except EOFError:  # it was killed, by whoever is short of memory
                yield work(items[index])
    finally:
        for reader in readers:
            reader.close()
        for process in processes:
            process.terminate()
            process.join()


def _serve(
    work: Callable[[_Item], _Result], items: Sequence[_Item], writer: Connection, readers: Sequence[Connection]
) -> None:
    for reader in readers:  # or the pipe would outlive the parent
        reader.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    with contextlib.suppress(BrokenPipeError):
        for item in items:
            writer.send_bytes(pickle.dumps(work(item), pickle.HIGHEST_PROTOCOL))
