"""What tests of all trackers are given."""

from collections.abc import Iterator
from typing import Any

import pytest

from traitscope.tracking import open_tracker


@pytest.fixture
def tracker(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The tracker that `tests.support.trackers` names, closed afterwards."""
    if request.param == "mediapipe":
        request.getfixturevalue("shared_weights")
    opened = open_tracker(request.param)
    yield opened
    opened.close()
