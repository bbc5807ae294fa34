"""The entry of every start: the program ``kdumpwrap``, the zipapp and ``python -m kdumpwrap``."""

import _signal  # type: ignore[import-not-found]  # built in: nothing is loaded before Ctrl-C ends us without a traceback

if _signal.getsignal(_signal.SIGINT) == _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)

import atexit
import contextlib
import gc
import os
import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line and exit."""
    gc.set_threshold(100_000)  # the modules loaded below stay, and the search for cycles in them takes 10 ms
    try:
        if sys.argv[1:2] in (["analyze"], ["annotate"], ["resolve"], ["disasm"]):
            from kdumpwrap.cli import early, signals

            signals.listen()  # the default action of a signal would leave nm behind
            early.begin(sys.argv[1], sys.argv[2:])
        from kdumpwrap.cli import app  # it takes 30 ms
    except KeyboardInterrupt:  # a signal, to which we listen
        from kdumpwrap.cli import signals

        signals.leave(1)
    except OSError as error:  # too many open files, say: a bug raises another exception
        sys.stderr.write(f"kdumpwrap: {error.filename}: {error.strerror}\n")
        os._exit(1)

    try:
        app.main()
    except SystemExit as end:
        # the interpreter would free memory now, for 5 ms, and flush the streams
        atexit._run_exitfuncs()
        run = sys.modules.get("kdumpwrap.tools.run")
        if run is not None:  # nm may have begun for a command line that turned out wrong
            run.stop_all()
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(int(end.code or 0))


if __name__ == "__main__":
    main()
