"""What a prediction says of itself: as values, as a table, as a picture in a notebook."""

import json
from xml.etree import ElementTree

import numpy as np
import pytest

from traitscope.answers import CAUTIONS, Caution, Interval, Person, Prediction, Timeline

TIMELINE = Timeline(
    starts=np.array([0.0, 15.0, 30.0]),
    ends=np.array([15.0, 30.0, 42.0]),
    scores={"openness": np.array([0.4, np.nan, 0.6])},
)


def picture_of(answer: Prediction) -> ElementTree.Element:
    html = answer._repr_html_()
    return ElementTree.fromstring(html[html.index("<svg") : html.index("</svg>") + len("</svg>")])


def full() -> Prediction:
    """A prediction in which nothing is lacking."""
    return Prediction(
        "<talk>.mp4#1",
        {"openness": 0.5},
        coverage={"faces": 0.9},
        notes=("others: one",),
        intervals={"openness": Interval(0.3, 0.7, 0.9)},
        percentiles={"openness": 34.5},
        warnings=(Caution("silence", "Nothing <is> heard."),),
        person=Person(1, thumbnail=b"\xff\xd8jpeg", share=0.8, speaks=True),
        timeline=TIMELINE,
        variance={"openness": 0.01},
    )


def test_the_spread_is_that_of_the_windows_that_have_scores() -> None:
    assert TIMELINE.spread["openness"] == pytest.approx(0.1)
    one = Timeline(np.zeros(1), np.ones(1), {"openness": np.array([0.4])})
    assert one.spread == {"openness": 0.0}


def test_a_timeline_of_unequal_parts_is_refused() -> None:
    with pytest.raises(ValueError, match="differ in length"):
        Timeline(np.zeros(2), np.ones(2), {"openness": np.zeros(3)})


def test_a_prediction_is_strict_json() -> None:
    tree = json.loads(json.dumps(full().to_dict(), allow_nan=False))
    assert tree["timeline"]["scores"]["openness"] == [0.4, None, 0.6]
    assert tree["intervals"]["openness"] == {"low": 0.3, "high": 0.7, "level": 0.9}
    assert tree["person"]["thumbnail"] == "/9hqcGVn"
    bare = Prediction("c", status="no_face", reason="no face").to_dict()
    assert bare["person"] is None
    assert bare["timeline"] is None


def test_a_frame_has_a_row_per_target() -> None:
    (row,) = full().to_frame().to_dict("records")
    assert row == pytest.approx(
        {"target": "openness", "score": 0.5, "low": 0.3, "high": 0.7, "percentile": 34.5}
        | {"spread": 0.1}
    )
    assert Prediction("c", {"openness": 0.5}).to_frame()["low"].isna().all()
    assert Prediction("c", status="no_face").to_frame().empty


def test_a_notebook_shows_face_bars_and_doubts_and_no_markup_of_others() -> None:
    html = full()._repr_html_()
    assert "data:image/jpeg;base64,/9hqcGVn" in html
    assert "&lt;talk&gt;" in html
    assert "Nothing &lt;is&gt; heard." in html
    assert "no face" in Prediction("c", status="no_face", reason="no face")._repr_html_()


def test_the_picture_of_a_notebook_shows_scores_intervals_and_windows_on_one_scale() -> None:
    picture = picture_of(full())
    name = "{http://www.w3.org/2000/svg}"
    # 220 pixels from 190 on are 0 to 1: .5 with .3 to .7.
    (dot,) = picture.iter(f"{name}circle")
    assert float(dot.get("cx", "")) == pytest.approx(300)
    interval = list(picture.iter(f"{name}line"))[1]
    assert [interval.get("x1"), interval.get("x2")] == ["256.0", "344.0"]
    # .4, nothing, .6: two pieces, the later one higher up.
    points = [line.get("points", "").split(",")[1] for line in picture.iter(f"{name}polyline")]
    assert float(points[0]) > float(points[1])
    wide = picture_of(Prediction("c", {"anxiety": 3.0, "warmth <x>": -1.0}))
    assert "warmth <x>" in [text.text for text in wide.iter(f"{name}text")]
    assert [float(dot.get("cx", "")) for dot in wide.iter(f"{name}circle")] == [410, 190]
    assert len(list(picture_of(Prediction("c", {"openness": 7.0})).iter(f"{name}circle"))) == 1


def test_every_kind_of_warning_has_a_meaning() -> None:
    assert all(meaning.endswith(".") for meaning in CAUTIONS.values())
