"""A program that was run, so that a reader can run it again."""

from typing import NamedTuple, Tuple

from kdumpwrap import shell


class Command(NamedTuple):
    """The words of a command, the source of its input, and the target of its output."""

    argv: Tuple[str, ...]
    fed: Tuple[str, ...] = ()  # lines of its standard input
    data: bytes = b""  # or the bytes of its standard input
    source: str = ""  # or the file that was its standard input
    sink: str = ""  # the file that took its standard output
    variables: Tuple[str, ...] = ()  # "NAME=value", added to its environment
    directory: str = "/"  # in which it ran
    reader: Tuple[str, ...] = ()  # the words of the program that read its standard output

    @property
    def text(self) -> str:
        """The command as a shell takes it: ``printf '%s\\n' 0x1 0x2 | addr2line …``."""
        text: str = shell.join([*(("env", *self.variables) if self.variables else ()), *self.argv])
        text += f" <{shell.quote(self.source)}" if self.source else ""
        text += f" >{shell.quote(self.sink)}" if self.sink else ""
        text += f" | {shell.join(self.reader)}" if self.reader else ""
        if self.directory != "/":
            text = f"cd {shell.quote(self.directory)} && {text}"
        if self.fed:
            return f"printf '%s\\n' {shell.join(self.fed)} | {text}"
        if not self.data:
            return text
        from base64 import b64encode  # rarely used

        return f"echo {b64encode(self.data).decode()} | {text}"
