"""Bytes as text, in the form of objdump and the kernel."""


def spaced(data: bytes) -> str:
    """``48 8b 87``: two hex digits a byte, a blank between; "" for none. (``bytes.hex`` does it since 3.8.)"""
    return " ".join(map("{:02x}".format, data))
