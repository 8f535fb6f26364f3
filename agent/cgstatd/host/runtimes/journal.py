"""A database that is being written, as it was before: SQLite's rollback journal put back into the file's bytes.

While a transaction is under way ``db.sql-journal`` holds the pages as they were; it is deleted when the transaction is
over. A page of the database is written only after the journal holds its former content. So the database is read first
and the journal second: with the journal's pages put back it has the state of the last whole transaction. Format
(sqlite.org/fileformat2.html, "The Rollback Journal"), big-endian::

    header, filling one sector: d9d505f920a163d7, records (-1: as many as fit), nonce, pages of the database before,
                                sector size, page size
    record: page number, the page, checksum: nonce + each 200th byte from the page's end, the first 200 left out

After a sync a further header may follow, at the next whole sector. A header of zeros is a journal that is over.
"""

from __future__ import annotations

import struct

MAGIC = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"
_HEADER = struct.Struct(">8sIIIII")
_NUMBER = struct.Struct(">I")
_TO_THE_END = 0xFFFFFFFF
_STEP = 200


def nonce_of(journal: bytes) -> int | None:
    """What tells one journal from the next; None: it holds nothing that is to be put back."""
    if len(journal) < _HEADER.size or not journal.startswith(MAGIC):
        return None
    return int(_HEADER.unpack_from(journal)[2])


def rolled_back(database: bytes, journal: bytes) -> bytes:
    """The database before the transaction. Raises ValueError if the journal is not this database's."""
    page_size = _page_size(database)
    found = bytearray(database)
    at, first = 0, True
    while len(journal) - at >= _HEADER.size and journal.startswith(MAGIC, at):
        _, records, nonce, pages, sector, size = _HEADER.unpack_from(journal, at)
        if size != page_size or not _is_size(sector, 32):
            raise ValueError("a journal of another database")
        if first:
            del found[pages * page_size :]
            first = False
        at += sector
        record = page_size + 8
        fit = (len(journal) - at) // record
        for _ in range(fit if records == _TO_THE_END else min(records, fit)):
            number = _NUMBER.unpack_from(journal, at)[0]
            page = journal[at + 4 : at + 4 + page_size]
            if _NUMBER.unpack_from(journal, at + 4 + page_size)[0] != _checksum(nonce, page):
                return bytes(found)  # torn: it had not been synced, so no page behind it had been written either
            at += record
            begin = (number - 1) * page_size
            if 0 <= begin <= len(found) - page_size:
                found[begin : begin + page_size] = page
        at = -(-at // sector) * sector
    return bytes(found)


def _page_size(database: bytes) -> int:
    size = int.from_bytes(database[16:18], "big")
    size = 65536 if size == 1 else size
    if not _is_size(size, 512):
        raise ValueError("not an SQLite database")
    return size


def _is_size(number: int, least: int) -> bool:
    return least <= number <= 65536 and number & (number - 1) == 0


def _checksum(nonce: int, page: bytes) -> int:
    return (nonce + sum(page[at] for at in range(len(page) - _STEP, 0, -_STEP))) & 0xFFFFFFFF
