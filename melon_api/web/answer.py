"""A large answer as HTTP: from memory in one piece, from disk piece by piece."""

from collections.abc import Iterable, Iterator

from flask import Response

from melon_api.sync.sql.changes_text import ChangesText
from melon_api.threads import release_thread


def respond(parts: Iterable[bytes], text: ChangesText, size: int | None = None) -> Response:
    """`parts` are one JSON object, made of `text`, which is closed when all is sent; `size` is
    theirs in bytes, where it is known.

    No beginning of an object is JSON: what breaks on its way cannot pass for the whole.
    """
    if not text.is_on_disk:
        return Response(b"".join(parts), mimetype="application/json")
    response = Response(_aside(parts), mimetype="application/json")
    if size is not None:
        response.content_length = size
    response.call_on_close(text.close)
    return response


def _aside(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Another thread takes requests while this one packs them and waits for the reader."""
    with release_thread():
        yield from parts
