"""``python -m kdumpwrap``."""

from kdumpwrap.cli import main

if __name__ == "__main__":
    main()
