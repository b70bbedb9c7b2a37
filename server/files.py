"""Files without a name, which are gone with the process."""

import tempfile
from typing import IO


def unnamed() -> IO[bytes]:
    """A new one, unbuffered. Raises OSError."""
    return tempfile.TemporaryFile(buffering=0)


def write(file: IO[bytes], data: bytes | bytearray) -> None:
    """All of it: a system may take a part at once. Raises OSError when the disk is full."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
