"""Podman: ``libpod-<id>.scope`` (systemd driver), ``libpod_parent/libpod-<id>`` (cgroupfs driver), and
``<unit>.service/libpod-payload-<id>`` for ``--cgroups=split``, which Quadlet's services use (conmon is beside it in
``runtime``).

crun puts a scope's processes into its child ``container``; runc does not. conmon's own cgroups are no containers.

State: the database ``db.sql`` (:mod:`.libpod`), and for the names alone, where there is no readable one (Podman
before 4.8 keeps BoltDB), the lists of :mod:`.storage`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cgroupfs import Root

from . import health_log, libpod
from .base import HEX_ID, SKIP, ExitCode, Health, LogSize, Match, Metadata, Skip, Unreadable, is_hex_id
from .journal import nonce_of, rolled_back
from .libpod import Database, LibpodContainer
from .logs import log_size
from .statefile import USERS_NAMES, StateFiles
from .storage import STORAGE, ContainersStorage, StoredContainer

RUNTIME = "podman"
PAYLOAD = "container"
_named = re.compile(rf"libpod-(?:payload-)?({HEX_ID})(\.scope)?|[^/]*:libpod:({HEX_ID})").fullmatch
_conmon = re.compile(rf"(?:libpod-)?conmon(?:-{HEX_ID}(?:\.scope)?)?").fullmatch
_TRIES = 3


def match(parent: str, name: str) -> Match | Skip | None:
    """Scopes, plain directories and payloads of split services; skips conmon's."""
    if _conmon(name):
        return SKIP
    found = _named(name)
    if found is None:
        return None
    return Match(RUNTIME, found[1] or found[3], PAYLOAD if found[2] else "")


class PodmanSource:
    """The containers of one user's Podman (uid 0: the system's)."""

    runtime = RUNTIME

    def __init__(self, root: Root, storage: str = STORAGE, owner_uid: int = 0, files: StateFiles | None = None) -> None:
        self.owner_uid = owner_uid
        self._files = files or StateFiles(root, owner_uid)
        self._storage = ContainersStorage(self._files, storage)
        self.places = self._storage.places
        self._database = f"{self._storage.path}/db.sql"
        self._last: Database | Unreadable | None = None
        self._before: tuple[int, Database] | None = None
        """Of a transaction that was under way: its journal's nonce, and what there was before."""

    def get(self, container_id: str) -> Metadata | Unreadable | None:
        """The metadata of a container by its whole id."""
        if not is_hex_id(container_id):
            return None
        rows = self._rows()
        row = rows.containers.get(container_id) if isinstance(rows, Database) else None
        if isinstance(row, str):
            return Unreadable(row, self._database)
        if row is not None:
            return self._of_row(container_id, row)
        stored = self._storage.get(container_id)
        if stored is not None:
            return None if stored.kubernetes else self._of_list(stored)
        return rows if isinstance(rows, Unreadable) else self._storage.problem

    def all(self) -> Iterator[Metadata]:
        """Every container of the database, stopped ones included; of the lists where there is no readable one."""
        rows = self._rows()
        if isinstance(rows, Database):
            yield from (self._of_row(key, row) for key, row in rows.containers.items() if not isinstance(row, str))
        else:
            yield from (self._of_list(each) for each in self._storage.all() if not each.kubernetes)

    def record_folder(self, container_id: str) -> str | None:
        """The journal is made and deleted in the storage directory at each transaction."""
        return self._storage.path

    def exit_code(self, container_id: str) -> ExitCode | None:
        """Kept until the next end, and for five minutes after the removal."""
        rows = self._rows()
        return rows.exit_codes.get(container_id) if isinstance(rows, Database) else None

    def log_size(self, container_id: str) -> LogSize | Unreadable | None:
        """Of the driver k8s-file, in its own place. A user's word for another path (``--log-opt path``) is not
        followed."""
        if not is_hex_id(container_id):
            return None
        several = (f"{folder}/{container_id}/userdata" for folder in self._storage.folders())
        found = (log_size(self._files, each, "ctr.log") for each in several)
        return next((each for each in found if each is not None), None)

    def health(self, log: str) -> Health | Unreadable | None:
        """Of the file that the container's state names."""
        return self._files.read(log, health_log.parse, health_log.LOG_BYTES)

    def _rows(self) -> Database | Unreadable | None:
        """The database; while it is being written, the database before that.

        Podman writes pages in place between giving the journal its header and deleting it. If there is no journal
        before and after the read, and the version is the same, the bytes are those of one transaction. A user's journal
        is not put back: to make many costs the user nothing.
        """
        for _ in range(_TRIES):
            nonce = self._nonce()
            if nonce is None:
                found = self._files.read(self._database, self._parse, libpod.DATABASE_LIMIT)
                if self._nonce() is None:
                    self._last = found
                    return found
                self._files.forget(self._database)
            elif not self.owner_uid and (rows := self._rows_before(nonce)) is not None:
                self._last = rows
                return rows
        return self._last or Unreadable("is being written (it has a journal)", self._database)

    def _nonce(self) -> int | None:
        """Of the journal by which pages may have been written; None: none may."""
        if not self._files.size_beside(self._database, "-journal"):
            return None
        if self.owner_uid:
            return 0
        return nonce_of(self._files.once(f"{self._database}-journal", libpod.DATABASE_LIMIT) or b"")

    def _rows_before(self, nonce: int) -> Database | None:
        """The rows before the transaction that is under way; None: it is over, or the journal does not tell."""
        if self._before is not None and self._before[0] == nonce:
            return self._before[1]
        database = self._files.once(self._database, libpod.DATABASE_LIMIT)
        journal = self._files.once(f"{self._database}-journal", libpod.DATABASE_LIMIT)
        if not database or not journal or nonce_of(journal) != nonce:
            return None
        try:
            rows = self._parse(rolled_back(database, journal))
        except (ValueError, RecursionError):
            return None
        self._before = nonce, rows
        return rows

    def _parse(self, data: bytes) -> Database:
        most = USERS_NAMES if self.owner_uid else libpod.MOST_ROWS
        return libpod.parse(data, self._files.wanted, most, self.owner_uid)

    def _of_row(self, container_id: str, row: LibpodContainer) -> Metadata:
        return row.metadata(
            RUNTIME,
            container_id,
            self.owner_uid,
            kept_in=self._storage.path,
            network_mode=row.network_mode,
            memory_limit_bytes=row.memory_limit_bytes,
            pod=row.pod,
            infra=row.infra,
            configured=row.configured,
        )

    def _of_list(self, stored: StoredContainer) -> Metadata:
        return Metadata(
            runtime=RUNTIME,
            id=stored.id,
            name=stored.name,
            image=stored.image,
            image_id=stored.image_id,
            created_seconds=stored.created_seconds,
            owner_uid=self.owner_uid,
        )
