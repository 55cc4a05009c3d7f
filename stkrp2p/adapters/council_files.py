"""A governor's files of the council's ceremonies: `ports.Safe` in a directory.

    council/board                  the bulletin board all this belongs to
    council/<session>/seed.json    the seed of our deal               (keystore)
    council/<session>/deal-<i>     dealer i's deal, as it travels
    council/<session>/beacon.json  our share of the beacon's key      (keystore)
    council/<session>/anchor.json  our share of the anchors' key      (keystore)
    council/<session>/group        what the session made, public; written after the shares
    council/<session>/starts       from when its shares sign, Unix milliseconds

Keystores are EIP-2335's, all under one password, which a file holds. Each file is its owner's alone,
and written whole or not at all; a seed is never replaced. Deleting is unlinking: what a disk keeps
of a file after that is encrypted.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

import trio

from stkrp2p.adapters import keystore
from stkrp2p.adapters.keys import (
    KeyFileError,
    read_secret_file,
    sync_directory,
    write_secret_file,
)
from stkrp2p.core.crypto import SECRET_BYTES, Secret
from stkrp2p.core.group import GOVERNORS_MAX, GovernorShare, Group, Purpose
from stkrp2p.core.types import NodeId, ProtocolError, UnixMs
from stkrp2p.core.wire import decode, encode
from stkrp2p.ports import KEPT_GROUPS_MAX, KeptGroup, SafeError

T = TypeVar("T")

_BOARD: Final = "board"
_SEED: Final = "seed.json"
_GROUP: Final = "group"
_STARTS: Final = "starts"
_SHARES: Final = {purpose: f"{purpose.name.lower()}.json" for purpose in Purpose}
_DEALS: Final = tuple(f"deal-{dealer}" for dealer in range(GOVERNORS_MAX))
_SESSION: Final = re.compile(r"[1-9][0-9]{0,17}")
_DIRECTORY_MODE: Final = 0o700
_PASSWORD_BYTES: Final = 32


class Runner(Protocol):
    """Runs what blocks."""

    async def __call__(self, work: Callable[[], T], /) -> T:
        """Return what it returns."""


async def in_thread(work: Callable[[], T], /) -> T:
    """Run in a worker thread; once begun it is finished, even if the caller is cancelled."""
    return await trio.to_thread.run_sync(work)


@contextmanager
def _safe_errors() -> Iterator[None]:
    try:
        yield
    except KeyFileError as error:
        raise SafeError(str(error)) from error
    except OSError as error:
        raise SafeError(f"cannot use {error.filename}: {error.strerror}") from error


@dataclass(slots=True, kw_only=True)
class CouncilFiles:
    """The files of one node on one board; implements `ports.Safe`."""

    directory: Path
    """Made if it is missing; its parent must exist."""

    node: NodeId
    chain_id: int
    """Of the chain that has the board."""

    board: bytes
    """The board's address, 20 bytes."""

    password_path: Path | None = None
    """File with the keystores' password. `None` for `<directory>.password`, which is made before
    the first keystore, with a password nobody chose."""

    iterations: int = keystore.ITERATIONS
    """Work for each keystore that is written."""

    run: Runner = in_thread
    """Where files are written and keystores opened."""

    # ------------------------------------------------------------------------- the port

    async def seed(self, session: int) -> Secret:
        """Return the seed of our deal; it is drawn, and kept, if there was none."""
        return await self.run(lambda: self._seed(session))

    async def deals(self, session: int) -> Mapping[int, bytes]:
        """Return the encoded deals that we keep, by dealer."""
        return await self.run(lambda: self._deals(session))

    async def put_deal(self, session: int, dealer: int, body: bytes) -> None:
        """Keep an encoded deal; replaces another one of that dealer."""
        await self.run(lambda: self._replace(session, _DEALS[dealer], body))

    async def put_group(self, group: Group, share: GovernorShare | None) -> None:
        """Keep what a session made; replaces another group of that session, its share included."""
        await self.run(lambda: self._put_group(group, share))

    async def put_start(self, session: int, starts_ms: UnixMs) -> None:
        """Note from when a kept group's shares sign; replaces."""
        await self.run(lambda: self._replace(session, _STARTS, b"%d\n" % starts_ms))

    async def groups(self) -> tuple[KeptGroup, ...]:
        """Return the kept groups in the order of their sessions, the newest `KEPT_GROUPS_MAX`."""
        return await self.run(self._groups)

    async def forget(self, before: int) -> None:
        """Delete the seeds, shares and deals of the sessions before one.

        Of these sessions the newest that was confirmed keeps its group, which is public: who takes
        part late in the session after it asks for that.
        """
        await self.run(lambda: self._forget(before))

    # ------------------------------------------------------------------------- files

    def _open(self) -> None:
        """Make the directory, or make sure that it is this board's.

        Raises:
            SafeError: It belongs to another board.
        """
        ours = f"{self.chain_id} 0x{self.board.hex()}\n".encode()
        with _safe_errors():
            self.directory.mkdir(mode=_DIRECTORY_MODE, exist_ok=True)
            marker = self.directory / _BOARD
            if not marker.exists():
                write_secret_file(marker, ours)
            if read_secret_file(marker) != ours:
                raise SafeError(
                    f"{self.directory} belongs to another bulletin board; run: "
                    f"mv {self.directory} {self.directory}.old"
                )

    def _folder(self, session: int) -> Path:
        return self.directory / str(session)

    def _read(self, session: int, name: str) -> bytes | None:
        path = self._folder(session) / name
        with _safe_errors():
            return read_secret_file(path) if path.is_symlink() or path.exists() else None

    def _write(self, session: int, name: str, content: bytes) -> None:
        self._open()
        folder = self._folder(session)
        with _safe_errors():
            if not folder.exists():
                folder.mkdir(mode=_DIRECTORY_MODE)
                sync_directory(self.directory)
            write_secret_file(folder / name, content)

    def _replace(self, session: int, name: str, content: bytes) -> None:
        if self._read(session, name) != content:
            self._remove(session, (name,))
            self._write(session, name, content)

    def _remove(self, session: int, names: Iterable[str]) -> None:
        folder = self._folder(session)
        with _safe_errors():
            if folder.is_dir():
                for name in names:
                    (folder / name).unlink(missing_ok=True)
                sync_directory(folder)

    # ------------------------------------------------------------------------- secrets

    def _password(self) -> Secret:
        path = self.password_path or self.directory.with_name(f"{self.directory.name}.password")
        with _safe_errors():
            is_first = not any(self.directory.glob("*/*.json"))
            if self.password_path is None and is_first and not path.exists():
                write_secret_file(path, secrets.token_hex(_PASSWORD_BYTES).encode() + b"\n")
            return Secret(read_secret_file(path).rstrip(b"\r\n"))

    def _seal(
        self, session: int, name: str, secret: Secret, what: str, public: bytes = b""
    ) -> None:
        text = keystore.seal(
            secret,
            self._password(),
            public=public,
            description=f"stkrp2p: {what} of session {session}",
            iterations=self.iterations,
        )
        self._write(session, name, text)

    def _unseal(self, session: int, name: str) -> Secret | None:
        text = self._read(session, name)
        if text is None:
            return None
        try:
            secret = keystore.unseal(text, self._password())
        except keystore.KeystoreError as error:
            raise SafeError(f"{self._folder(session) / name}: {error}") from None
        if len(secret.reveal()) != SECRET_BYTES:
            raise SafeError(f"{self._folder(session) / name} holds no secret of 32 bytes")
        return secret

    def _seed(self, session: int) -> Secret:
        self._open()
        if (held := self._unseal(session, _SEED)) is not None:
            return held
        drawn = Secret(secrets.token_bytes(SECRET_BYTES))
        self._seal(session, _SEED, drawn, "seed of our deal")
        return drawn

    def _deals(self, session: int) -> Mapping[int, bytes]:
        self._open()
        bodies = ((dealer, self._read(session, name)) for dealer, name in enumerate(_DEALS))
        return {dealer: body for dealer, body in bodies if body is not None}

    def _put_group(self, group: Group, share: GovernorShare | None) -> None:
        held = self._group(group.session)
        if held is not None and held[:2] == (group, share):
            return
        # In this order: a group that is there has all of its share.
        self._remove(group.session, (_GROUP, _STARTS))
        self._remove(group.session, _SHARES.values())
        if share is not None:
            for purpose, secret in zip(Purpose, share.secrets, strict=True):
                public = group.public_share(purpose, share.index)
                what = f"governor {share.index}'s {purpose.name.lower()} share"
                self._seal(group.session, _SHARES[purpose], secret, what, public)
        self._write(group.session, _GROUP, encode(group))

    def _groups(self) -> tuple[KeptGroup, ...]:
        if not self.directory.exists():
            return ()
        self._open()
        kept: list[KeptGroup] = []
        for session in sorted(self._sessions(), reverse=True):
            held = self._group(session)
            if held is not None and len(kept) < KEPT_GROUPS_MAX:
                kept.append(held)
        return tuple(reversed(kept))

    def _sessions(self) -> list[int]:
        if not self.directory.exists():
            return []
        return [int(p.name) for p in self.directory.iterdir() if _SESSION.fullmatch(p.name)]

    def _group(self, session: int) -> KeptGroup | None:
        body = self._read(session, _GROUP)
        if body is None:
            return None
        try:
            group = decode(body, Group)
            starts_ms = self._starts(session)
            return KeptGroup(group, self._share(group), starts_ms)
        except (ProtocolError, ValueError) as error:
            raise SafeError(f"{self._folder(session)} is damaged: {error}") from None

    def _starts(self, session: int) -> UnixMs | None:
        text = self._read(session, _STARTS)
        return None if text is None else UnixMs(int(text))

    def _share(self, group: Group) -> GovernorShare | None:
        if self.node not in group.governors:
            return None
        held = [self._unseal(group.session, name) for name in _SHARES.values()]
        parts = tuple(secret for secret in held if secret is not None)
        if len(parts) < len(Purpose):
            return None
        return GovernorShare(group, group.governors.index(self.node), parts)

    def _forget(self, before: int) -> None:
        earlier = sorted(s for s in self._sessions() if s < before)
        confirmed = [s for s in earlier if self._read(s, _STARTS) is not None]
        for session in earlier:
            folder = self._folder(session)
            kept = {_GROUP, _STARTS} if session in confirmed[-1:] else set()
            with _safe_errors():
                # Whatever is in there, what a kill left of a file half written included.
                self._remove(session, [p.name for p in folder.iterdir() if p.name not in kept])
                if not kept:
                    folder.rmdir()
                    sync_directory(self.directory)
