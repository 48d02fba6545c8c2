"""A store's address in, a store out: a folder, or a packed store that lies elsewhere.

``s3://bucket/store``, ``gs://...`` and whatever else fsspec knows. Small files are fetched when the
store is opened, a shard when its first stream is read; both stay in the user's cache, by the
checksum of what ``packed.json`` says, so that another store of the same address is another folder.
A training reads each shard in each epoch: read in place, its clips would be asked for one by one,
over and over.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from traitscope.errors import ConfigError, DataError
from traitscope.features.packed import PACKED, SOURCE
from traitscope.features.packing import SHARD_BYTES, Packing, pack_store
from traitscope.features.store import Store
from traitscope.files import checksum, replacing, write_json
from traitscope.types import Hook

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/+(.+)", re.DOTALL)
"""A path that was made of an address has one slash where the address has two. Of one letter it
would be a drive of Windows."""
_LARGEST_BYTES = 2**28
"""Of ``packed.json``, which has a line for each file."""


def open_store(address: Path | str) -> Store:
    """Open a store at a path or an address such as ``s3://bucket/store``.

    Raises:
        DataError: there is no packed store at the address, or it cannot be reached.
        ConfigError: nothing is known of such addresses here.
    """
    remote = remote_address(address)
    return Store(Path(address) if remote is None else _copy_of(remote))


def remote_address(address: Path | str) -> str | None:
    """The address as one of another place; None for a path."""
    parts = _ADDRESS.fullmatch(str(address))
    return None if parts is None else f"{parts[1]}://{parts[2]}"


def pack(
    store: Store, to: Path | str, *, shard_bytes: int = SHARD_BYTES, hook: Hook | None = None
) -> Packing:
    """Pack a store into a folder, or to an address, to which each file goes when it is whole.

    Args:
        store: of one file per clip.
        to: a new folder or address.
        shard_bytes: size from which a new shard begins.
        hook: called with (done, total, stream).

    Raises:
        DataError: there is no store, a stream is damaged, or the address cannot be written.
        ConfigError: the place is used, or nothing is known of such addresses here.
    """
    address = remote_address(to)
    if address is None:
        return pack_store(store, Path(to), shard_bytes=shard_bytes, hook=hook)
    files, root = _place(address)
    with _saying(address):
        if files.exists(f"{root}/{PACKED}"):
            raise ConfigError(f"{address} is there already. Choose another address with --to.")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "store"

        def send(path: Path) -> None:
            with _saying(address):
                name = path.relative_to(folder).as_posix()
                files.makedirs(f"{root}/{name}".rpartition("/")[0], exist_ok=True)
                files.put_file(str(path), f"{root}/{name}")
            if path.suffix == ".tar":  # the whole store need not fit beside itself
                path.unlink()

        return pack_store(store, folder, shard_bytes=shard_bytes, finished=send, hook=hook)


def fetch(address: str, name: str, path: Path, *, sha256: str) -> None:
    """Fetch a file of a packed store, and compare it with its checksum.

    Raises:
        DataError: it cannot be reached, or is another file.
    """
    files, root = _place(address)
    with replacing(path) as draft:
        with _saying(address):
            files.get_file(f"{root}/{name}", str(draft))
        if checksum(draft) != sha256:
            raise DataError(
                f"{address}/{name} is damaged (its checksum is not the one in {PACKED}). Pack the "
                f"store again: traitscope features pack STORE --to {address}"
            )


def _copy_of(address: str) -> Path:
    """The folder of the cache for what lies at an address now, with its small files."""
    files, root = _place(address)
    with _saying(address):
        if not files.exists(f"{root}/{PACKED}"):
            raise DataError(
                f"There is no packed store at {address}. Make one with: traitscope features pack "
                f"STORE --to {address}"
            )
        # Not by `cat_file`, which wants to seek in what Arrow gives it as a stream.
        with files.open(f"{root}/{PACKED}", "rb") as file:
            said = file.read(_LARGEST_BYTES)
    digest = hashlib.sha256(address.encode() + b"\n" + said).hexdigest()[:16]
    folder = _cache() / digest
    if not (folder / PACKED).is_file():
        write_json(folder / SOURCE, {"address": address})
        with replacing(folder / PACKED) as draft:
            draft.write_bytes(said)
    opened = Store(folder)
    assert opened.packed is not None
    for name in opened.packed.facts["files"]:
        if ".." in name.split("/") or not re.fullmatch(r"[\w.-]+/[\w.-]+", name, re.ASCII):
            raise DataError(f"{address} is no store: it has a file {name!r}.")
        if not name.endswith(".tar"):
            opened.packed.bring(folder / name)
    return folder


def _cache() -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "traitscope" / "stores"


def _place(address: str) -> tuple[Any, str]:
    """The file system of an address, and the path in it."""
    from fsspec.core import url_to_fs  # PyTorch and Lightning bring it

    kind = address.partition("://")[0]
    try:
        # PyArrow brings both with it; fsspec would ask for another package for each.
        if kind in {"s3", "gs"}:
            from fsspec.implementations.arrow import ArrowFSWrapper
            from pyarrow.fs import FileSystem

            own, path = FileSystem.from_uri(address)
            return ArrowFSWrapper(own), str(path).rstrip("/")
        files, path = url_to_fs(address)
    except (ImportError, ValueError, OSError) as error:
        raise ConfigError(f"{address} cannot be opened: {error}") from error
    return files, str(path).rstrip("/")


@contextmanager
def _saying(address: str) -> Iterator[None]:
    """Name the address in whatever a file system of somebody else's raises."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise DataError(
            f"{address} cannot be reached: {error}. Look at the address, the network and the "
            f"rights of this user."
        ) from error
