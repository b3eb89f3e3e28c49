"""The rules that files of both layouts have in common: right size, nothing missing, nothing left over."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import TypeVar

from pasco_core.data.datasets.check_report import ERROR, NOTE, WARNING, SequenceReport, numbers
from pasco_core.data.datasets.listing import UNREADABLE, Listing, NumberedFile
from pasco_core.errors import DataError

T = TypeVar("T")
Files = Mapping[int, NumberedFile]


def check_size(report: SequenceReport, what: str, file: NumberedFile, size: int, rule: str) -> None:
    """The file has exactly ``size`` bytes."""
    if _is_readable(report, what, file) and file.size != size:
        message = f"Expected {what} {file.path} to have {size} bytes ({rule}), got {file.size} bytes"
        report.add(ERROR, "size", file.path, message)


def check_rows(report: SequenceReport, what: str, file: NumberedFile, row: int, rule: str) -> None:
    """The file has a multiple of ``row`` bytes, and not none."""
    if not _is_readable(report, what, file):
        return
    if file.size % row:
        whole = f"a multiple of {row} bytes ({rule})"
        message = f"Expected the size of {what} {file.path} to be {whole}, got {file.size} bytes"
        report.add(ERROR, "size", file.path, message)
    else:
        check_not_empty(report, what, file)


def check_not_empty(report: SequenceReport, what: str, file: NumberedFile) -> None:
    """The file has some bytes."""
    if _is_readable(report, what, file) and file.size == 0:
        report.add(ERROR, "size", file.path, f"Expected {what} {file.path} not to be empty, got 0 bytes")


def require(report: SequenceReport, what: str, path: Path, owner: str) -> None:
    """A file that is not there and that its owner needs is an error."""
    report.add(ERROR, "missing", path, f"Expected {what} {path} to be there beside its {owner}, got nothing there")


def check_orphans(report: SequenceReport, what: str, files: Files, wanted: Collection[int], owner: str) -> None:
    """Files without the scan (or another owner) that would make use of them are warnings."""
    for index in sorted(set(files) - set(wanted)):
        path = files[index].path
        report.add(WARNING, "orphan", path, f"Expected {what} {path} to have its {owner}, got none: it is not used")


def check_age(report: SequenceReport, instances: Files, labels: Files) -> None:
    """Instance labels that are older than the voxel labels they go before are a warning: they may be of others."""
    older = [i for i in sorted(instances.keys() & labels.keys()) if instances[i].written < labels[i].written]
    if older:
        path = instances[older[0]].path
        message = (
            f"Expected instance labels {path} to be newer than {labels[older[0]].path}, whose classes they replace, "
            f"got older ones for {numbers(older)}: if the voxel labels have changed, remove them and run "
            "`pasco data instances` again"
        )
        report.add(WARNING, "stale", path, message)


def check_names(report: SequenceReport, listing: Listing, endings: tuple[str, ...], digits: int = 6) -> None:
    """Files with a known ending and a name that is no number are notes: they are never read."""
    for path in listing.strangers(endings, digits):
        report.add(NOTE, "unused", path, f"Expected {path} to be named by {digits} digits, got another name: not read")


def _is_readable(report: SequenceReport, what: str, file: NumberedFile) -> bool:
    if file.size == UNREADABLE:
        report.add(ERROR, "missing", file.path, f"Expected {what} {file.path} to be readable, got a broken link")
    return file.size != UNREADABLE


def read_if_there(report: SequenceReport, path: Path, reader: Callable[[], T]) -> T | None:
    """What the reader gives; None where the file is not there, which only some commands mind, or is broken."""
    if not path.is_file():
        return None
    try:
        return reader()
    except DataError as error:
        report.add(ERROR, "content", path, str(error))
        return None
