"""Threads that wait for tools; where the system gives no thread, the caller does the job."""

import sys
import threading
from contextlib import suppress
from functools import partial
from queue import Empty, Queue
from typing import Any, Callable, Generic, List, Optional, Set, TypeVar

_T = TypeVar("_T")
_SWITCH = 0.0005  # seconds that a thread at work has before another gets its turn; 0.005 by default


class Job(Generic[_T]):
    """The future result of a call, or its exception. The standard library's Future also loads logging, 3 ms."""

    def __init__(self, call: Callable[[], _T]) -> None:
        self.cancelled = False  # it was not begun, and never will be
        self._call = call
        self._done = threading.Event()
        self._values: List[_T] = []
        self._error: Optional[BaseException] = None

    def do(self) -> None:
        """Run the call in this thread."""
        try:
            self._values.append(self._call())
        except BaseException as error:
            self._error = error
        self._done.set()

    def ended(self) -> None:
        """Wait until the call has ended."""
        self._done.wait()

    def result(self, timeout: Optional[float] = None) -> _T:
        """The result of the call, when it has ended. Raises its exception, or TimeoutError after ``timeout`` s."""
        if not self._done.wait(timeout):
            raise TimeoutError
        if self._error is not None:
            raise self._error
        return self._values[0]


class Pool:
    """At most ``most`` threads, each started when there is a job for it.

    An executor of the standard library loses a job, and raises, when a thread cannot be started.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._threads: List[threading.Thread] = []
        self._jobs: "Queue[Optional[Job[Any]]]" = Queue()
        self._open: Set[Job[Any]] = set()  # those that have not ended

    def submit(self, call: Callable[..., _T], *args: Any, **named: Any) -> Job[_T]:
        """The future result of ``call(*args, **named)``."""
        job: Job[_T] = Job(partial(call, *args, **named))
        if len(self._threads) < self.most:
            self._start()
        if self._threads:
            self._open.add(job)
            self._jobs.put(job)
        else:
            job.do()
        return job

    def close(self, *, wait: bool = True) -> None:
        """Cancel the jobs that have not begun and wait for the others; without ``wait`` the process's end stops all.

        The threads are not joined: each of them would first have to wake up.
        """
        if not wait:
            return
        with suppress(Empty):
            while True:
                job = self._jobs.get_nowait()
                if job is not None:
                    job.cancelled = True
                    self._open.discard(job)
        for _ in self._threads:
            self._jobs.put(None)
        for job in tuple(self._open):
            job.ended()

    def _start(self) -> None:
        # the thread that starts nm when readelf has ended waits for the one that loads what is needed later
        sys.setswitchinterval(min(_SWITCH, sys.getswitchinterval()))
        thread = threading.Thread(target=self._work, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # "can't start new thread": too many processes, or too little memory
            self.most = len(self._threads)
        else:
            self._threads.append(thread)

    def _work(self) -> None:
        for job in iter(self._jobs.get, None):
            job.do()
            self._open.discard(job)
