"""The watch sees what it is there for: else every refusal would look harmless."""

import importlib
import os
import socket
from pathlib import Path

import pytest

from tests.support.stranger import PAYLOAD, Stranger
from tests.support.watching import watching
from traitscope.errors import ConfigError


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stranger:
    return Stranger(tmp_path / "named", monkeypatch)


def test_imports_files_processes_connections_and_memory_are_seen(
    stranger: Stranger, tmp_path: Path
) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("s")
    with watching() as seen:
        importlib.import_module(PAYLOAD)
        secret.read_text()
        os.system("true")
        with socket.socket() as line, pytest.raises(ConnectionError):
            line.connect(("127.0.0.1", 1))
        taken = bytearray(os.urandom(1)) * 300_000_000
    assert any("evil_lab" in Path(name).parts for name in seen.opened)
    assert seen.opened_beyond(stranger.folder) == [str(secret)]
    assert len(seen.started) == len(seen.connected) == 1
    assert len(taken) == 300_000_000
    assert seen.megabytes == 0 or seen.megabytes > 250
    with watching() as quiet:
        pass
    assert not quiet.opened + quiet.started + quiet.connected


def test_a_refusal_that_came_too_late_is_no_refusal(stranger: Stranger) -> None:
    def late() -> None:
        importlib.import_module(PAYLOAD)
        raise ConfigError("refused")

    with pytest.raises(AssertionError, match="code of the stranger has run"):
        stranger.refused(late, "refused")
