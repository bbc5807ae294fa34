"""Threads that wait for tools; where the system gives no thread, whoever asks does the job himself."""

import threading
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from queue import Empty, Queue
from typing import Any, Callable, List, Optional, Tuple, TypeVar

_T = TypeVar("_T")
_Job = Tuple["Future[Any]", Callable[[], Any]]


class Pool:
    """At most ``most`` threads, each started when there is a job for it.

    Unlike an executor of the library's, which forgets a job when a thread cannot be started, and raises.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._threads: List[threading.Thread] = []
        self._jobs: "Queue[Optional[_Job]]" = Queue()

    def submit(self, job: Callable[..., _T], *args: Any, **named: Any) -> "Future[_T]":
        """What ``job(*args, **named)`` will have returned or raised."""
        future: "Future[_T]" = Future()
        if len(self._threads) < self._most:
            self._start()
        if self._threads:
            self._jobs.put((future, partial(job, *args, **named)))
        else:
            _do((future, partial(job, *args, **named)))
        return future

    def close(self, *, wait: bool = True) -> None:
        """Do nothing that has not begun, and ``wait`` for what has; else leave all to the end of the process."""
        if not wait:
            return
        with suppress(Empty):
            while True:
                job = self._jobs.get_nowait()
                if job is not None:
                    job[0].cancel()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join()

    def _start(self) -> None:
        thread = threading.Thread(target=self._work, daemon=True)
        try:
            thread.start()
        except RuntimeError:  # "can't start new thread": too many processes, or too little memory
            self._most = len(self._threads)
        else:
            self._threads.append(thread)

    def _work(self) -> None:
        for job in iter(self._jobs.get, None):
            _do(job)


def _do(job: _Job) -> None:
    future, call = job
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(call())
    except BaseException as error:
        future.set_exception(error)
