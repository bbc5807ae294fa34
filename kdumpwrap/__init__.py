"""From a kernel crash dump to the source line that caused it, by driving nm, objdump, addr2line and crash."""

__version__ = "0.1.0"
