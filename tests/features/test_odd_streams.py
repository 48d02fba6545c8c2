"""Sheets and exports of streams that lack what the usual ones have."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from traitscope.features.exports import write_csv
from traitscope.features.request import make_request
from traitscope.features.sheet import draw_sheet
from traitscope.features.store import Store
from traitscope.types import Stream

TIME = np.arange(5) / 5
JPEG = cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))[1].tobytes()


def store_of(folder: Path, stream: Stream, name: str) -> tuple[Store, str]:
    store = Store(folder)
    request = make_request(name, {} if name == "short_term" else {"backend": "dlib"})
    store.add(request.key, request.fingerprint)
    store.record(request.key, store.write(request.key, "a", stream))
    store.settle(request.key)
    return store, request.key


STREAMS = {
    "sound without energy": ("short_term", Stream(TIME, np.ones((5, 1)), columns=("zcr",))),
    "sound without names": ("short_term", Stream(TIME, np.ones((5, 3)))),
    "signals of other names": ("signals", Stream(TIME, np.ones((5, 2)), columns=("x", "y"))),
    "one row": ("signals", Stream(np.zeros(1), np.ones((1, 1)), columns=("AU12_r",))),
    "no rows": ("signals", Stream(np.zeros(0), np.ones((0, 2)), columns=("AU12_r", "AU01_r"))),
    "no pictures": ("faces", Stream(np.zeros(0), images=())),
    "a picture that cannot be decoded": ("faces", Stream(TIME[:2], images=(JPEG, b"no JPEG"))),
}


@pytest.mark.parametrize(("name", "stream"), STREAMS.values(), ids=STREAMS)
def test_a_stream_that_lacks_something_is_drawn_and_written(
    tmp_path: Path, name: str, stream: Stream
) -> None:
    store, key = store_of(tmp_path / "store", stream, name)
    draw_sheet(store, tmp_path / "sheet.png", clips=["a"])
    assert (tmp_path / "sheet.png").stat().st_size > 1000
    if stream.values is not None:
        assert write_csv(store, key, tmp_path / "rows.csv") == len(stream.time)
