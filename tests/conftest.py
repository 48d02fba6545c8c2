"""Rules for every test: no network beyond loopback, and where the real clips are."""

import os

# Two test processes on two cores: more threads in each only get into each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import shutil
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# A busy or slow machine is no fault of the code: hypothesis must not go by time.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")

SHARED = Path(__file__).resolve().parents[2] / "shared"
LOOPBACK = {"127.0.0.1", "localhost", "::1", "", None}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Refuse connections that leave this machine; servers under test use loopback."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in LOOPBACK:
            raise OSError(f"tests have no network: {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True, scope="session")
def nothing_of_this_machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Third-party weights only where a test says so, and nothing in the home of who runs them.

    Of the session, so that it holds for what a whole file prepares, too.
    """
    nowhere = tmp_path_factory.getbasetemp() / "nowhere"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAITSCOPE_WEIGHTS", str(nowhere / "weights"))
        patch.setenv("XDG_CACHE_HOME", str(nowhere / "cache"))
        # else each child process that draws looks for the fonts of this machine anew
        patch.setenv("MPLCONFIGDIR", str(tmp_path_factory.getbasetemp()))
        yield


@pytest.fixture
def shared() -> Path:
    """The folder of real clips; the test skips where it is not there."""
    if not SHARED.is_dir():
        if os.environ.get("REQUIRE_SHARED"):
            pytest.fail(f"{SHARED} is required")
        pytest.skip(f"the real clips are not at {SHARED}")
    return SHARED


@pytest.fixture
def shared_weights(shared: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The MediaPipe face model from the shared folder, made findable."""
    monkeypatch.setenv("TRAITSCOPE_WEIGHTS", str(shared / "weights"))
    return shared / "weights"


@pytest.fixture
def my_lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of somebody's own code, which Python finds: `my_lab.words`."""
    folder = tmp_path / "code" / "my_lab"
    folder.mkdir(parents=True)
    shutil.copy(Path(__file__).with_name("support") / "outside_words.py", folder / "words.py")
    monkeypatch.syspath_prepend(folder.parent)
    for name in [name for name in sys.modules if name.split(".")[0] == "my_lab"]:
        monkeypatch.delitem(sys.modules, name)
    return folder.parent
