"""The worked example: a small tree shaped like a CentOS host, with one crash and the piece of vmlinux it needs.

scripts/example/build makes the vmlinux from assembly.
"""

from pathlib import Path


def root() -> Path:
    """The tree's top: what ``--root`` takes."""
    return Path(__file__).parent / "root"
