"""gzip, as clients send it (RFC 1952)."""

import zlib

from melon_api.errors import BadRequest, PayloadTooLarge

MAGIC = b"\x1f\x8b"  # RFC 1952 §2.3.1


def gunzip(data: bytes, limit: int) -> bytes:
    """Unpack at most `limit` bytes of one gzip member.

    Raises PayloadTooLarge before much more than that is in memory, BadRequest when it is not gzip.
    """
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(data, limit + 1)
    except zlib.error as error:
        raise BadRequest(f"The body is not gzip: {error}.") from None
    if len(unpacked) > limit:
        raise PayloadTooLarge(f"The body unpacks to more than {limit} bytes.")
    if not unpacker.eof:
        raise BadRequest("The gzip body ends too early.")
    if unpacker.unused_data:
        raise BadRequest("The gzip body has something behind its end.")
    return unpacked
