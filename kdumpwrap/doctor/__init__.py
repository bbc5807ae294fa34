"""The diagnosis of a host: whether it catches its next crash, and whether that can be read here."""
