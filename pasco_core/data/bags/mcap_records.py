"""The records of an MCAP file (mcap.dev/spec), as far as messages need them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from zlib import crc32

from pasco_core.data.bags.compression import decompress
from pasco_core.data.bags.storage import Channel

MAGIC = b"\x89MCAP0\r\n"
FOOTER, SCHEMA, CHANNEL, MESSAGE, CHUNK, MESSAGE_INDEX, CHUNK_INDEX, STATISTICS, DATA_END = (
    0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x0B, 0x0F
)
HEAD = 9
"""Bytes of opcode and length before a record's content."""

CHUNK_HEAD = 28
_MESSAGE_HEAD = 22
_SCHEMA_FORMATS = {"ros2msg": "ros2msg", "ros2idl": "ros2idl", "omgidl": "ros2idl"}
Message = tuple[int, int, bytes]
"""Log time in ns, channel, bytes."""


class Fields:
    """Reads one record's fields in order; a field beyond the end is a ``ValueError``."""

    def __init__(self, data: bytes | memoryview):
        self._data, self._at = memoryview(data), 0

    def numbers(self, layout: str) -> tuple[int, ...]:
        """Little-endian numbers by a ``struct`` layout."""
        return struct.unpack(f"<{layout}", self.take(struct.calcsize(f"<{layout}")))

    def number(self, layout: str) -> int:
        """One of them."""
        return self.numbers(layout)[0]

    def take(self, size: int) -> memoryview:
        """The next bytes."""
        end = self._at + size
        if end > len(self._data):
            raise ValueError("a record that is shorter than its fields")
        piece, self._at = self._data[self._at : end], end
        return piece

    def text(self) -> str:
        """A string with its length before it."""
        return bytes(self.take(self.number("I"))).decode("utf-8", "replace")

    def rest(self) -> memoryview:
        """What is left."""
        return self._data[self._at :]


@dataclass
class Definitions:
    """Schemas and channels seen so far."""

    schemas: dict[int, tuple[str, str, str]]
    channels: dict[int, Channel]

    def add(self, opcode: int, content: bytes | memoryview) -> None:
        """Take in a record, if it is a schema or a channel.

        Raises:
            ValueError: it breaks its format.
        """
        fields = Fields(content)
        if opcode == SCHEMA:
            number, name, encoding = fields.number("H"), fields.text(), fields.text()
            self.schemas[number] = name, _SCHEMA_FORMATS.get(encoding, ""), fields.text()
        elif opcode == CHANNEL:
            number, schema = fields.numbers("HH")
            topic, encoding = fields.text(), fields.text()
            name, form, text = self.schemas.get(schema, ("", "", ""))
            self.channels.setdefault(number, Channel(topic, name, encoding, form, text))


def whole_records(data: bytes | memoryview) -> Iterator[tuple[int, memoryview]]:
    """(opcode, content) of the records in ``data``; one that is cut at the end is left out.

    Raises:
        ValueError: bytes that are no record.
    """
    data, at = memoryview(data), 0
    while at + HEAD <= len(data):
        opcode, size = struct.unpack_from("<BQ", data, at)
        if opcode == 0:
            raise ValueError("bytes that are no record")
        at += HEAD + size
        if at > len(data):
            return
        yield opcode, data[at - size : at]


def message_of(content: memoryview) -> Message:
    """A message record.

    Raises:
        ValueError: it is too short to be one.
    """
    if len(content) < _MESSAGE_HEAD:
        raise ValueError(f"a message record of {len(content)} bytes")
    channel, _, time, _ = struct.unpack_from("<HIQQ", content)
    return time, channel, bytes(content[_MESSAGE_HEAD:])


def chunk_records(content: bytes | memoryview) -> tuple[bytes | memoryview, str | None]:
    """The decompressed records of a chunk and what is wrong with them: None, or a cut, or a wrong size or checksum.

    Of a chunk that is cut, the bytes before the cut are returned; of one with a wrong checksum, none.

    Raises:
        ValueError: no chunk at all.
    """
    fields = Fields(content)
    _, _, size, crc = fields.numbers("QQQI")
    method, packed_size = fields.text(), fields.number("Q")
    packed = fields.rest()[:packed_size]
    records = decompress(packed, method, size)
    if len(packed) < packed_size:
        return records, "the end of the file inside a chunk"
    if len(records) != size:
        return records, f"a chunk of {len(records)} bytes instead of {size}"
    if crc and crc32(records) != crc:
        return b"", "a chunk whose checksum is wrong"
    return records, None
