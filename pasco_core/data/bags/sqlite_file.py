"""A rosbag2 SQLite file (.db3), whole or damaged: its messages in the order of log time, one in memory at a time."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pasco_core.data.bags.storage import Channel, damaged
from pasco_core.errors import DataError

MAGIC = b"SQLite format 3\0"


class SqliteFile:
    """One SQLite storage file as a ``Storage``.

    SQLite refuses a file that is shorter than its header says, unless its schema is declared writable; then rows are
    read by number up to the first that is not whole.

    Args:
        path: the file; it begins with SQLite's magic bytes.

    Raises:
        DataError: it holds no rosbag2.
    """

    def __init__(self, path: Path):
        import apsw

        self.path = path
        self.damage: str | None = None
        self.channels: dict[int, Channel] = {}
        self.counts: dict[int, int] = {}
        self.start: int | None = None
        self._rows: list[tuple[int, int, int]] | None = None
        self._error, self._broken = apsw.Error, (apsw.CorruptError, apsw.NotADBError, apsw.IOError)
        try:
            self._database = _open(path)
        except apsw.Error as error:
            raise self._refused(error) from error
        try:
            self._read_head()
        except (apsw.Error, ValueError, TypeError) as error:
            self.close()
            raise self._refused(error) from error
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def messages(self, wanted: Collection[int]) -> Iterator[tuple[int, int, bytes]]:
        """(log time, channel, bytes) of some channels."""
        n_read = 0
        rows = self._in_order(wanted) if self._rows is None else self._salvaged(wanted)
        try:
            for time, channel, data in rows:
                yield int(time), channel, bytes(data)
                n_read += 1
        except (self._error, ValueError, TypeError) as error:
            self.damage = self.damage or damaged(self.path, f"{error} among the messages wanted", n_read)

    def _read_head(self) -> None:
        """Channels, counts and the first time, by SQL; row by row where the file is damaged."""
        try:
            tables = self._tables()
        except self._broken:
            self._database.execute("PRAGMA writable_schema=ON")
            self._rows = []
            tables = self._tables()
        if not {"messages", "topics"} <= tables:
            found = ", ".join(sorted(tables)) or "none"
            raise DataError(f"Expected bag file {self.path} to have the tables topics and messages, got {found}")
        self.channels = self._read_channels(tables)
        try:
            if self._rows is None:
                query = "SELECT topic_id, COUNT(*) FROM messages GROUP BY topic_id"
                self.counts = dict(self._database.execute(query))
                (self.start,) = self._database.execute("SELECT MIN(timestamp) FROM messages").fetchone()
        except self._broken:
            self._rows = []
        if self._rows is not None:
            self._salvage()

    def _refused(self, error: Exception) -> DataError:
        return DataError(f"Expected bag file {self.path} to be a rosbag2 in SQLite, got: {error}")

    def _tables(self) -> set[str]:
        return {name for (name,) in self._database.execute("SELECT name FROM sqlite_master WHERE type='table'")}

    def _read_channels(self, tables: set[str]) -> dict[int, Channel]:
        definitions = {}
        if "message_definitions" in tables:
            query = "SELECT topic_type, encoding, encoded_message_definition FROM message_definitions"
            definitions = {name: (form, text) for name, form, text in self._database.execute(query)}
        query = "SELECT id, name, type, serialization_format FROM topics ORDER BY id"
        return {
            number: Channel(str(topic), str(kind), str(encoding), *definitions.get(kind, ("", "")))
            for number, topic, kind, encoding in self._database.execute(query)
        }

    def _in_order(self, wanted: Collection[int]) -> Any:
        marks = ",".join("?" * len(wanted))
        query = f"SELECT timestamp, topic_id, data FROM messages WHERE topic_id IN ({marks}) ORDER BY timestamp, id"
        return self._database.execute(query, tuple(wanted))

    def _salvage(self) -> None:
        """Lists the rows that are whole, in the order of writing up to the first that is not; then by log time."""
        self._rows = []
        wrong = "fewer pages than its header says"
        try:
            # The last byte of a message tells whether all of its pages are there.
            query = "SELECT timestamp, id, topic_id, substr(data, -1) FROM messages ORDER BY id"
            for time, row, topic, _ in self._database.execute(query):
                self._rows.append((int(time), row, topic))
        except (self._error, ValueError, TypeError) as error:
            wrong = str(error)
        self._rows.sort()
        self.counts = dict(Counter(topic for _, _, topic in self._rows))
        self.start = self._rows[0][0] if self._rows else None
        self.damage = damaged(self.path, wrong, len(self._rows))

    def _salvaged(self, wanted: Collection[int]) -> Iterator[tuple[int, int, bytes]]:
        for time, row, topic in self._rows or ():
            if topic in wanted:
                (data,) = self._database.execute("SELECT data FROM messages WHERE id = ?", (row,)).fetchone()
                yield time, topic, data


def _open(path: Path) -> Any:
    """The database, read-only; a last page that is cut does not count as one, else SQLite fills it up with zeros."""
    import apsw

    with open(path, "rb") as file:
        head = file.read(18)
    page = int.from_bytes(head[16:18], "big")
    page = 65536 if page == 1 else max(page, 512)
    journal = Path(f"{path}-wal")
    pending = journal.is_file() and journal.stat().st_size > 0
    # A file that nobody writes to is opened as such: SQLite then needs no lock and no place for a journal.
    name = f"file:{quote(os.fspath(path.absolute()))}?{'mode=ro' if pending else 'immutable=1'}"
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    if path.stat().st_size % page == 0:
        return apsw.Connection(name, flags=flags)

    class WholePages(apsw.VFSFile):
        def xFileSize(self) -> int:
            return super().xFileSize() // page * page

    class Files(apsw.VFS):
        def __init__(self) -> None:
            super().__init__("pasco_whole_pages", "")

        def xOpen(self, name, flags):
            return WholePages("", name, flags)

    files = Files()
    try:
        return apsw.Connection(name, flags=flags, vfs="pasco_whole_pages")
    finally:
        files.unregister()
