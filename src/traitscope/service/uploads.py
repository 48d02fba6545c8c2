"""A request body -> a recording in a file of a random name, counted and hashed as it comes.

Nothing that the sender says of it is believed: not its length, not its kind, not its name. A body
is one of three: a form (multipart) with the recording and fields, the recording alone, or JSON
with words. Whatever is refused leaves no file.
"""

import asyncio
import errno
import hashlib
import json
import re
import secrets
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from traitscope.service.forms import FormReader
from traitscope.service.refusals import RefusedError
from traitscope.service.settings import MIB, Settings

MOST_TEXT_BYTES = MIB
"""Of JSON, and of all fields of a form beside the recording."""
_DRAINED_BYTES, _DRAIN_SECONDS = 32 * MIB, 5.0
"""Of a body that is refused: many clients read the answer only when they have sent all."""
_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}\Z")
_NAME_LETTERS = 100


@dataclass
class Upload:
    """What has come in.

    Attributes:
        path: of the recording; None where words came alone.
        name: what the sender called it, made harmless.
        size: in bytes.
        fields: name -> values, of the rest of a form or of the query.
        digest: of all that was sent, for idempotency keys.
        content: of the recording alone.
    """

    path: Path | None = None
    name: str = ""
    size: int = 0
    fields: dict[str, list[str]] = field(default_factory=dict)
    digest: str = ""
    content: str = ""

    def discard(self) -> None:
        """Delete the recording."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def first(self, name: str) -> str | None:
        """The first value of a field."""
        return next(iter(self.fields.get(name, [])), None)


class Receiver:
    """Writes recordings into the folder of a server."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder, self._settings = folder, settings
        self._coming = 0

    async def receive(self, kind: str, body: AsyncIterator[bytes]) -> Upload:
        """Receive one body.

        Args:
            kind: the content type that the sender declares, which says how it is laid out.
            body: its pieces.

        Raises:
            RefusedError: it is too large or too slow, not what it says, or the disk is full.
        """
        # Uploads are received side by side, and each may grow to the largest.
        if self._coming >= self._settings.uploads:
            raise RefusedError(503, "busy", "Too many recordings are coming in.", after=5)
        self._check_disk()
        self._coming += 1
        target = _Target(self._folder, self._settings.upload_bytes)
        try:
            return await self._received(kind, body, target)
        except OSError as error:
            target.drop()
            if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                raise
            raise _full_disk() from error
        except BaseException:  # also where the client has gone, which cancels this
            target.drop()
            raise
        finally:
            self._coming -= 1
            target.close()

    async def _received(self, kind: str, body: AsyncIterator[bytes], target: "_Target") -> Upload:
        pieces = self._in_time(body)
        if kind.partition(";")[0].strip().lower() == "multipart/form-data":
            reader = FormReader(kind, target)
            async for piece in pieces:
                reader.feed(piece)
            target.fields.update(reader.finish())
        elif kind.partition(";")[0].strip().lower() == "application/json":
            target.fields.update(_json_fields(await _small(pieces)))
            target.hash.update(json.dumps(target.fields, sort_keys=True).encode())
        else:
            target.begin("")
            async for piece in pieces:
                target.write(piece)
        return target.upload()

    async def _in_time(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The pieces of a body, unless one keeps us waiting, or all of them do."""
        end = time.monotonic() + self._settings.upload_seconds
        pieces = aiter(body)
        while True:
            patience = min(self._settings.idle_seconds, end - time.monotonic())
            try:
                piece = await asyncio.wait_for(anext(pieces), max(patience, 0.0))
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise RefusedError(
                    408, "too_slow", "The recording came too slowly. Send it again."
                ) from None
            yield piece

    def _check_disk(self) -> None:
        free = shutil.disk_usage(self._folder).free
        if free < self._settings.spare_bytes:
            raise _full_disk()


class _Target:
    """Where the pieces of one body go."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder, self._most = folder, most
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self._name = ""
        self._size = 0
        self.hash = hashlib.sha256()
        self.fields: dict[str, list[str]] = {}

    def begin(self, name: str) -> None:
        """Open a file for the recording."""
        if self._path is not None:
            raise RefusedError(400, "two_files", "One request takes one recording.")
        self._name = harmless(name)
        suffix = _SUFFIX.search(self._name.lower())
        self._path = self._folder / f"{secrets.token_hex(16)}{suffix[0] if suffix else ''}"
        self._file = self._path.open("xb")

    def write(self, piece: bytes) -> None:
        """Write a piece, unless it is one too many."""
        self._size += len(piece)
        if self._size > self._most:
            raise RefusedError(
                413,
                "too_large",
                f"A recording may have {self._most / MIB:,.0f} MiB here. Send a shorter piece of "
                f"it, or fewer pixels.",
            )
        assert self._file is not None
        self._file.write(piece)
        self.hash.update(piece)

    def close(self) -> None:
        """Close the file; what is still to be written may find the disk full."""
        file, self._file = self._file, None
        if file is not None:
            with suppress(OSError):
                file.close()

    def drop(self) -> None:
        """Delete the file."""
        self.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def upload(self) -> Upload:
        """What has come, with all of it on the disk."""
        if self._file is not None:
            self._file.flush()
        if self._path is not None and not self._size:
            raise RefusedError(415, "empty", "The recording has 0 bytes. Choose it again.")
        content = self.hash.hexdigest()
        for key in sorted(self.fields):
            self.hash.update(json.dumps([key, self.fields[key]]).encode())
        digest, name = self.hash.hexdigest(), harmless(self._name)
        return Upload(self._path, name, self._size, self.fields, digest, content)


def another_name(path: Path) -> Path:
    """A second random name of a recording, whose file stays until both are deleted.

    Raises:
        FileNotFoundError: it is deleted already.
    """
    other = path.with_name(f"{secrets.token_hex(16)}{path.suffix}")
    try:
        other.hardlink_to(path)
    except FileNotFoundError:
        raise
    except OSError:  # some file systems have no second names
        shutil.copyfile(path, other)
    return other


def harmless(name: str) -> str:
    """What a sender calls a recording, without folders, controls, and more than a line of it."""
    last = re.split(r"[/\\]", name)[-1]
    plain = "".join(letter for letter in last if letter.isprintable()).strip(" .")
    if len(plain) > _NAME_LETTERS:
        stem, dot, suffix = plain.rpartition(".")
        plain = f"{(stem or suffix)[: _NAME_LETTERS - 10]}{dot}{suffix[:8]}"
    return plain or "recording"


async def drain(body: AsyncIterator[bytes]) -> None:
    """Read on for a while what is not wanted, so that its sender hears why."""
    left = _DRAINED_BYTES
    with suppress(Exception):  # whoever has gone needs no answer
        async with asyncio.timeout(_DRAIN_SECONDS):
            async for piece in body:
                left -= len(piece)
                if left < 0:
                    return


async def _small(pieces: AsyncIterator[bytes]) -> bytes:
    parts = bytearray()
    async for piece in pieces:
        parts += piece
        if len(parts) > MOST_TEXT_BYTES:
            raise RefusedError(
                413, "too_large", f"JSON may have {MOST_TEXT_BYTES // MIB} MiB here."
            )
    return bytes(parts)


def _json_fields(body: bytes) -> dict[str, list[str]]:
    """The fields of a JSON job: text, or a list of texts, by name."""
    try:
        tree: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise RefusedError(400, "no_json", "The body is no JSON.") from None
    if not isinstance(tree, dict):
        raise RefusedError(422, "no_object", 'A JSON job is an object, such as {"text": "..."}.')
    fields: dict[str, list[str]] = {}
    for name, value in tree.items():
        values = value if isinstance(value, list) else [value]
        values = [str(one).lower() if isinstance(one, bool) else one for one in values]
        if not all(isinstance(one, str) for one in values):
            raise RefusedError(422, "no_text", f"{name[:40]!r} must be text, or a list of texts.")
        fields[name] = values
    return fields


def _full_disk() -> RefusedError:
    return RefusedError(503, "no_space", "There is no room for recordings now.", after=60)
