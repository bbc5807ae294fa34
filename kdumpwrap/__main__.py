"""The entry of every start: the program ``kdumpwrap``, the zipapp and ``python -m kdumpwrap``."""

import atexit
import contextlib
import gc
import os
import signal
import sys
from typing import NoReturn

if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while the rest is loaded ends us without a traceback


def main() -> NoReturn:
    """Run the command line and exit."""
    gc.set_threshold(100_000)  # what is loaded below stays, and looking for cycles in it takes 10 ms
    if sys.argv[1:2] in (["analyze"], ["annotate"]):
        from kdumpwrap.cli import early

        early.begin(sys.argv[2:])
    from kdumpwrap.cli import app  # it takes 30 ms

    try:
        app.main()
    except SystemExit as end:
        # what the interpreter would do now is to free memory, for 5 ms, and to write what a stream still holds
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(int(end.code or 0))


if __name__ == "__main__":
    main()
