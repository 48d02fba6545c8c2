"""Who asks why: from a kept recording, from one that is sent again, or with the scores at once."""

from typing import Any

import pytest

from tests.service.conftest import Place
from tests.support.serving import result
from traitscope.service.answers import JobAnswer

JOBS = "/v1/predictions"
KEPT = {"keep_minutes": 5.0}
SOUND = {"file": ("a.wav", b"RIFFsound")}


def scored(place: Place, **how: Any) -> str:
    """The link of a job that has its scores."""
    sent = place.send(params={"wait": 20}, **how)
    assert sent.status_code == 200, sent.text
    return str(sent.json()["links"]["self"])


@pytest.mark.parametrize("settings", [KEPT])
def test_a_kept_recording_is_explained_once(place: Place) -> None:
    link = f"{scored(place)}/explanation"
    assert place.client.get(link).json()["error"] == "not_asked"
    asked = place.client.post(link, params={"wait": 20})
    assert asked.status_code == 200, asked.text
    JobAnswer.model_validate(asked.json())
    (one,) = asked.json()["explanations"]
    assert (one["evidence"]["targets"][0]["verdict"], "html" in one) == (
        "better than random",
        False,
    )
    assert place.client.post(link).json()["id"] == asked.json()["id"]
    assert place.client.get(link).json() == place.client.get(asked.json()["links"]["self"]).json()
    assert [order.task for order in place.lane.orders] == ["scores", "explanation"]
    assert place.lane.contents == [b"RIFFsound"] * 2
    assert len(list(place.folder.iterdir())) == 1  # that of the scores, which is kept


def test_a_recording_that_is_gone_may_be_sent_once_more(place: Place) -> None:
    link = f"{scored(place)}/explanation"
    gone = place.client.post(link)
    assert (gone.status_code, gone.json()["error"]) == (410, "gone")
    assert "Send it once more" in gone.json()["reason"]
    other = place.client.post(link, files={"file": ("a.wav", b"RIFFother")})
    assert (other.status_code, other.json()["error"]) == (409, "other_recording")
    again = place.client.post(link, files=SOUND, params={"wait": 20})
    assert (again.status_code, len(again.json()["explanations"])) == (200, 1)
    assert not list(place.folder.iterdir())


def test_scores_and_explanation_may_be_asked_for_together(place: Place) -> None:
    sent = place.send(data={"explain": "true", "model": ["run", "words"]})
    done = place.client.get(sent.json()["links"]["explanation"], params={"wait": 20}).json()
    assert [one["model"] for one in done["explanations"]] == ["run", "words"]
    assert not list(place.folder.iterdir())
    spoken = {"text": "well", "model": "words", "explain": True}
    sent = place.client.post(JOBS, json=spoken, params={"wait": 20})
    done = place.client.get(sent.json()["links"]["explanation"], params={"wait": 20}).json()
    assert (done["state"], place.lane.orders[-1].words) == ("done", "well")
    wrong = place.send(data={"explain": "perhaps"})
    assert (wrong.status_code, wrong.json()["error"]) == (422, "no_flag")


@pytest.mark.parametrize("settings", [{"queue": 1}])
def test_both_find_a_place_in_the_line_or_neither(place: Place) -> None:
    full = place.send(data={"explain": "true"})
    assert (full.status_code, full.json()["error"]) == (503, "full")
    assert not list(place.folder.iterdir())
    assert not place.lane.orders


@pytest.mark.parametrize("settings", [KEPT])
def test_only_scores_are_explained_and_only_of_models_that_were_asked(place: Place) -> None:
    link = scored(place)
    wrong = place.client.post(f"{link}/explanation", params={"model": "words"})
    assert (wrong.status_code, wrong.json()["error"]) == (422, "no_such_model")
    asked = place.client.post(f"{link}/explanation", params={"wait": 20}).json()["links"]["self"]
    again = place.client.post(f"{asked}/explanation")
    assert (again.status_code, again.json()["error"]) == (409, "no_scores")
    assert place.client.delete(link).status_code == 204  # with all that came of it
    assert place.client.get(asked).status_code == 404
    place.lane.answer = lambda order: result(order, status="no_face", reason="None.", scores={})
    failed = place.send(params={"wait": 20}).json()["links"]["self"]
    assert place.client.post(f"{failed}/explanation").json()["error"] == "no_scores"


@pytest.mark.parametrize("settings", [KEPT])
def test_a_model_that_cannot_be_explained_says_why(place: Place) -> None:
    link = scored(place)
    nothing = {"model": "run", "status": "not_explained", "reason": "It cannot.", "evidence": {}}
    place.lane.answer = lambda order: {**nothing, "html": ""}
    asked = place.client.post(f"{link}/explanation", params={"wait": 20})
    assert (asked.status_code, asked.json()["problem"]["error"]) == (422, "not_explained")
    JobAnswer.model_validate(asked.json())


def test_a_page_asks_without_scripts_and_shows_the_evidence(place: Place) -> None:
    link = scored(place).replace(JOBS, "/jobs")
    page = place.client.get(link).text
    assert "The recording is deleted here. Choose it once more" in page
    refused = place.client.post(f"{link}/why", files={"model": (None, "run")})
    assert refused.status_code == 410
    assert "That did not work" in refused.text
    moved = place.client.post(f"{link}/why", files=SOUND, follow_redirects=False)
    assert moved.status_code == 303
    job = moved.headers["location"].replace("/jobs/", f"{JOBS}/")
    place.client.get(job, params={"wait": 20})
    assert "why run</div>" in place.client.get(moved.headers["location"]).text
    assert place.client.get(f"{moved.headers['location']}/answer.csv").status_code == 409
