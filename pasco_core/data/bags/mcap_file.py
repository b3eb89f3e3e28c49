"""An MCAP file, whole or damaged: its messages in the order of log time, a few chunks in memory at a time.

A whole file is read by the index at its end. A file without one, because its recorder was killed or its copy is cut, is
walked from the start, record by record, up to the first that is not whole; so is a file whose messages lie outside
chunks, or whose chunks the index does not list.
"""

from __future__ import annotations

import heapq
import os
import struct
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from pasco_core.data.bags.mcap_records import (
    CHANNEL,
    CHUNK,
    CHUNK_HEAD,
    CHUNK_INDEX,
    DATA_END,
    FOOTER,
    HEAD,
    MAGIC,
    MESSAGE,
    MESSAGE_INDEX,
    SCHEMA,
    STATISTICS,
    Definitions,
    Fields,
    Message,
    chunk_records,
    message_of,
    whole_records,
)
from pasco_core.data.bags.storage import Channel, damaged

_LOOSE_BYTES = 2**22
_FOOTER_BYTES = HEAD + 20 + len(MAGIC)
_MAX_SUMMARY = 2**30


@dataclass
class _Block:
    """A chunk, or a run of messages that are in none: where it is, when it is, and what it holds if that is known."""

    offset: int
    size: int
    start: int
    is_chunk: bool
    counts: Counter[int] = field(default_factory=Counter)


class McapFile:
    """One MCAP file as a ``Storage``.

    Args:
        path: the file; it begins with MCAP's magic bytes.

    Raises:
        OSError: it cannot be read.
    """

    def __init__(self, path: Path):
        self.path = path
        self.damage: str | None = None
        self.counts: dict[int, int] = {}
        self._file = open(path, "rb")  # noqa: SIM115 (closed by close)
        self._size = os.fstat(self._file.fileno()).st_size
        self._known = Definitions({}, {})
        try:
            if not self._read_summary():
                self._scan()
        except BaseException:
            self.close()
            raise
        self.channels: dict[int, Channel] = self._known.channels
        self._blocks.sort(key=lambda block: (block.start, block.offset))
        self.start = next((block.start for block in self._blocks if block.counts), None)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def messages(self, wanted: Collection[int]) -> Iterator[Message]:
        """(log time, channel, bytes) of some channels; a chunk is read when its time comes and dropped after it."""
        waiting: list[tuple[int, int, int, bytes]] = []
        n_read = order = 0
        for block in self._blocks:
            if not any(block.counts[channel] for channel in wanted):
                continue
            while waiting and waiting[0][0] < block.start:
                time, _, channel, data = heapq.heappop(waiting)
                yield time, channel, data
            content, wrong = self._content(block)
            for time, channel, data in content:
                n_read += 1
                if channel in wanted:
                    order += 1
                    heapq.heappush(waiting, (time, order, channel, data))
            if wrong:
                self.damage = self.damage or damaged(self.path, f"{wrong} at byte {block.offset:,}", n_read)
                break
        while waiting:
            time, _, channel, data = heapq.heappop(waiting)
            yield time, channel, data

    def _read_at(self, offset: int, size: int) -> bytes:
        """Bytes by their place: whoever reads names it, because others have moved the file's own since."""
        self._file.seek(offset)
        return self._file.read(size)

    def _content(self, block: _Block) -> tuple[list[Message], str | None]:
        """The messages of a block, up to what is wrong with it."""
        data: bytes | memoryview = self._read_at(block.offset, block.size)
        found: list[Message] = []
        wrong = None
        try:
            if block.is_chunk:
                data, wrong = chunk_records(data)
            for opcode, content in whole_records(data):
                if opcode == MESSAGE:
                    found.append(message_of(content))
                else:
                    self._known.add(opcode, content)
        except ValueError as error:
            wrong = wrong or str(error)
        return found, wrong

    def _read_summary(self) -> bool:
        """Channels, counts and blocks from the index at the end; whether there is one that lists every message."""
        self._blocks: list[_Block] = []
        try:
            records = self._summary()
            statistics = None
            for opcode, content in records:
                self._known.add(opcode, content)
                if opcode == CHUNK_INDEX:
                    self._blocks.append(_indexed_chunk(content))
                elif opcode == STATISTICS:
                    statistics = _statistics(content)
        except (ValueError, struct.error):
            return False
        if statistics is None or not self._lists_everything(*statistics):
            return False
        self.counts = dict(statistics[2])
        return True

    def _lists_everything(self, n_messages: int, n_chunks: int, by_channel: Counter[int]) -> bool:
        """Whether the index and the statistics agree, so that no message can be missed."""
        listed = sum((block.counts for block in self._blocks), Counter())
        return (
            len(self._blocks) == n_chunks and sum(by_channel.values()) == n_messages
            and set(+by_channel) == set(listed) <= set(self._known.channels)
            and all(block.offset + block.size <= self._size for block in self._blocks)
        )

    def _summary(self) -> list[tuple[int, memoryview]]:
        """Records of the summary section; an error where the file has no whole end."""
        if self._size < len(MAGIC) + _FOOTER_BYTES:
            raise ValueError("no room for a footer")
        footer = self._size - _FOOTER_BYTES
        end = self._read_at(footer, _FOOTER_BYTES)
        opcode, size, start = struct.unpack_from("<BQQ", end)
        whole = opcode == FOOTER and size == 20 and end.endswith(MAGIC)
        if not whole or not len(MAGIC) <= start <= footer or footer - start > _MAX_SUMMARY:
            raise ValueError("no summary")
        return list(whole_records(self._read_at(start, footer - start)))

    def _scan(self) -> None:
        """Channels, counts and blocks from the records themselves, up to the first that is not whole."""
        self._blocks, self._known = [], Definitions({}, {})
        at, wrong = len(MAGIC), None
        chunk: _Block | None = None
        while True:
            head = self._read_at(at, HEAD)
            opcode, size = struct.unpack("<BQ", head) if len(head) == HEAD else (-1, 0)
            cut = opcode < 0 or at + HEAD + size > self._size
            if chunk is not None and (opcode != MESSAGE_INDEX or cut):
                wrong = self._settle(chunk, look=cut)
                chunk = None
            if opcode in (DATA_END, FOOTER) or wrong:
                break
            if opcode == 0:  # no record has it: a file whose end was never written to
                wrong = f"bytes that are no record at byte {at:,}"
                break
            inside = self._size - at - HEAD
            if opcode < 0 or (size > inside and opcode != CHUNK):
                wrong = f"the end of the file at byte {self._size:,}"
                break
            if opcode == CHUNK and min(size, inside) > CHUNK_HEAD:
                chunk = self._chunk_at(at + HEAD, min(size, inside))
            elif opcode == CHUNK:
                wrong = f"the end of the file at byte {self._size:,}"
                break
            else:
                self._take(opcode, at, size, chunk)
            at += HEAD + size
        self.counts = dict(sum((block.counts for block in self._blocks), Counter()))
        if wrong or not self._has_end():
            wrong = wrong or "no index at its end"
            self.damage = damaged(self.path, wrong, sum(self.counts.values()))

    def _has_end(self) -> bool:
        return self._size > 2 * len(MAGIC) and self._read_at(self._size - len(MAGIC), len(MAGIC)) == MAGIC

    def _chunk_at(self, offset: int, size: int) -> _Block:
        start, _ = struct.unpack("<QQ", self._read_at(offset, 16))
        self._blocks.append(_Block(offset, size, start, True))
        return self._blocks[-1]

    def _settle(self, chunk: _Block, look: bool) -> str | None:
        """Look into a chunk that ends the file, or whose index is missing or names unknown channels."""
        if not look and chunk.counts and set(chunk.counts) <= set(self._known.channels):
            return None
        found, wrong = self._content(chunk)
        chunk.counts = Counter(channel for _, channel, _ in found)
        chunk.start = min((time for time, _, _ in found), default=chunk.start)
        return f"{wrong} at byte {chunk.offset:,}" if wrong else None

    def _take(self, opcode: int, at: int, size: int, chunk: _Block | None) -> None:
        """A record outside chunks."""
        content = at + HEAD
        if opcode == MESSAGE_INDEX and chunk is not None and size >= 6:
            channel, length = struct.unpack("<HI", self._read_at(content, 6))
            chunk.counts[channel] += length // 16
        elif opcode in (SCHEMA, CHANNEL):
            self._known.add(opcode, self._read_at(content, size))
        elif opcode == MESSAGE:
            channel, _, time = struct.unpack("<HIQ", self._read_at(content, 14))
            last = self._blocks[-1] if self._blocks else None
            if last is None or last.is_chunk or last.offset + last.size != at or last.size > _LOOSE_BYTES:
                last = _Block(at, 0, time, False)
                self._blocks.append(last)
            last.size += HEAD + size
            last.start = min(last.start, time)
            last.counts[channel] += 1


def _indexed_chunk(content: memoryview) -> _Block:
    fields = Fields(content)
    start, _, offset, length = fields.numbers("QQQQ")
    indices = fields.take(fields.number("I"))
    block = _Block(offset + HEAD, length - HEAD, start, True)
    for number in range(len(indices) // 10):
        block.counts[struct.unpack_from("<H", indices, 10 * number)[0]] = 1  # whether, not how many
    return block


def _statistics(content: memoryview) -> tuple[int, int, Counter[int]]:
    """Messages, chunks, and messages by channel."""
    fields = Fields(content)
    messages, _, _, _, _, chunks, _, _ = fields.numbers("QHIIIIQQ")
    pairs = fields.take(fields.number("I"))
    return messages, chunks, Counter(dict(struct.unpack_from("<HQ", pairs, 10 * i) for i in range(len(pairs) // 10)))
