"""Where every way to start us begins: the program ``kdumpwrap``, the zipapp and ``python -m kdumpwrap``."""

import signal

if signal.getsignal(signal.SIGINT) == signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C while the rest is loaded ends us without a traceback

from kdumpwrap.cli.app import main

if __name__ == "__main__":
    main()
