"""An application with a lane that does as it is told, and its client."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from tests.support.serving import ToldLane
from traitscope.service.application import make_application, make_service
from traitscope.service.settings import Settings


@dataclass
class Place:
    """One application under test."""

    client: TestClient
    lane: ToldLane
    folder: Path
    service: Any

    def send(self, content: bytes = b"RIFFsound", **how: Any) -> Any:
        return self.client.post("/v1/predictions", files={"file": ("a.wav", content)}, **how)


def opened(folder: Path, lane: ToldLane, **settings: Any) -> Iterator[Place]:
    service = make_service([lane], folder, Settings(spare_bytes=1, **settings))
    with TestClient(make_application(service), base_url="http://localhost") as client:
        yield Place(client, lane, folder, service)


@pytest.fixture
def settings() -> dict[str, Any]:
    """What a test changes of the settings."""
    return {}


@pytest.fixture
def place(tmp_path: Path, settings: dict[str, Any]) -> Iterator[Place]:
    folder = tmp_path / "uploads"
    folder.mkdir()
    yield from opened(folder, ToldLane(), **settings)
