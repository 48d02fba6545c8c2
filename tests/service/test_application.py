"""What a program sees: jobs and their states, refusals with their reason, nothing of others."""

import asyncio
import json
import time
from itertools import groupby
from typing import Any

import pytest

from tests.service.conftest import Place
from tests.support.serving import result
from traitscope.service.events import stream
from traitscope.service.jobs import Job, Jobs
from traitscope.service.lanes import Failure
from traitscope.service.limits import Rate

JOBS = "/v1/predictions"


def events_of(text: str) -> list[tuple[str, Any]]:
    """Name and content of each event of a stream; signs of life are none."""
    lines = [event.split("\n") for event in text.strip().split("\n\n") if event[0] != ":"]
    return [(name[7:], json.loads(data[6:])) for name, data in lines]


def test_a_recording_becomes_a_job_and_its_answer(place: Place) -> None:
    sent = place.send()
    assert sent.status_code == 202
    assert sent.headers["location"] == sent.json()["links"]["self"]
    job = place.client.get(sent.json()["links"]["self"], params={"wait": 60}).json()
    assert (job["state"], job["progress"]["share"]) == ("done", 1.0)
    assert job["results"][0]["prediction"]["clips"][0]["scores"] == {"openness": 0.5}
    assert place.lane.contents == [b"RIFFsound"]
    assert not list(place.folder.iterdir())


@pytest.mark.parametrize("kind", ["audio/wav", "application/octet-stream"])
def test_a_body_may_be_the_recording_itself(place: Place, kind: str) -> None:
    query = {"wait": 60, "name": "../../etc/pass\nwd.wav", "model": "run"}
    sent = place.client.post(
        JOBS, content=b"RIFFsound", headers={"content-type": kind}, params=query
    )
    assert (sent.status_code, sent.json()["name"]) == (200, "passwd.wav")


def test_words_alone_are_a_job_of_models_that_read_them(place: Place) -> None:
    sent = place.client.post(JOBS, json={"text": "well", "model": "words"}, params={"wait": 60})
    assert sent.status_code == 200
    assert (place.lane.orders[0].words, place.lane.orders[0].path) == ("well", None)
    refused = place.client.post(JOBS, json={"text": "well"})
    assert (refused.status_code, refused.json()["error"]) == (422, "no_words_read")


def test_several_models_answer_one_job(place: Place) -> None:
    form = {"model": ["run", "words"]}
    sent = place.send(data=form, params={"wait": 60})
    assert [one["model"] for one in sent.json()["results"]] == ["run", "words"]
    wrong = place.send(data={"model": "rum"})
    assert (wrong.status_code, wrong.json()["error"]) == (422, "no_such_model")


@pytest.mark.parametrize(
    ("status", "expected"), [("no_face", 422), ("undecodable", 415), ("too_large", 422)]
)
def test_who_waits_gets_the_reason_with_its_status(
    place: Place, status: str, expected: int
) -> None:
    place.lane.answer = lambda order: result(order, status=status, reason="Why.", scores={})
    sent = place.send(params={"wait": 60})
    assert sent.status_code == expected
    assert sent.json()["problem"] == {"error": status, "reason": "Why."}
    later = place.client.get(sent.json()["links"]["self"])
    assert (later.status_code, later.json()["state"]) == (200, "failed")


def test_a_lane_that_fails_is_the_failure_of_its_job_alone(place: Place) -> None:
    place.lane.answer = lambda order: 1 / 0
    sent = place.send(params={"wait": 60})
    assert (sent.status_code, sent.json()["problem"]["error"]) == (500, "internal")
    assert "ZeroDivision" not in sent.text
    place.lane.answer = result
    assert place.send(params={"wait": 60}).status_code == 200


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"#EXTM3U\n/etc/passwd\n", "a playlist"),
        (b"PK\x03\x04....", "a zip archive"),
        (b"<!doctype html><p>", "a web page"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "a list of files"),
    ],
)
def test_what_is_plainly_no_recording_is_refused_at_once(
    place: Place, content: bytes, what: str
) -> None:
    sent = place.send(content)
    assert sent.status_code == 415
    assert what in sent.json()["reason"]
    assert not place.lane.orders
    assert not list(place.folder.iterdir())


@pytest.mark.parametrize("settings", [{"upload_bytes": 1000}])
def test_too_large_is_told_by_counting(place: Place) -> None:
    sent = place.send(bytes(1001))
    assert (sent.status_code, sent.json()["error"]) == (413, "too_large")
    assert not list(place.folder.iterdir())
    assert place.send(bytes(900), params={"wait": 60}).status_code == 200


@pytest.mark.parametrize("settings", [{"queue": 1}])
def test_a_full_line_says_when_to_come_back(place: Place) -> None:
    place.lane.go.clear()
    jobs = [place.send()]
    until(lambda: bool(place.lane.orders))
    jobs.append(place.send())
    full = place.send()
    assert (full.status_code, full.json()["error"]) == (503, "full")
    assert int(full.headers["retry-after"]) >= 1
    assert place.client.get("/v1/ready").json() == {"status": "full"}
    place.lane.go.set()
    for job in jobs:
        done = place.client.get(job.json()["links"]["self"], params={"wait": 60}).json()
        assert done["state"] == "done"
    assert place.client.get("/v1/ready").status_code == 200


@pytest.mark.parametrize("settings", [{"per_minute": 2}])
def test_who_comes_too_often_is_asked_to_wait(place: Place) -> None:
    place.service.desk.rate = Rate(2, clock=lambda: 0.0)  # on a slow machine time would pass
    assert [place.send().status_code for _ in range(3)] == [202, 202, 429]
    assert int(place.send().headers["retry-after"]) >= 1


def test_the_same_key_is_the_same_job(place: Place) -> None:
    key = {"idempotency-key": "mine"}
    first, again = place.send(headers=key), place.send(headers=key)
    assert first.json()["id"] == again.json()["id"]
    other = place.send(b"RIFFother", headers=key)
    assert (other.status_code, other.json()["error"]) == (409, "reused_key")
    until(lambda: not list(place.folder.iterdir()))
    assert len(place.lane.orders) == 1


def test_a_job_that_is_taken_back_is_gone(place: Place) -> None:
    place.lane.go.clear()
    running = place.send().json()["links"]["self"]
    waiting = place.send().json()["links"]["self"]
    for link in (waiting, running):
        assert place.client.delete(link).status_code == 204
        assert place.client.get(link).status_code == 404
    until(lambda: not list(place.folder.iterdir()))
    place.lane.go.set()
    assert place.send(params={"wait": 60}).status_code == 200


def test_news_come_as_events(place: Place) -> None:
    link = place.send().json()["links"]["events"]
    events = events_of(place.client.get(link).text)
    assert {name for name, _ in events[:-1]} == {"progress"}
    name, last = events[-1]
    assert (name, last["state"]) == ("done", "done")
    assert "results" not in last


def test_a_stage_is_told_however_short_it_was(place: Place) -> None:
    place.lane.stages = ["decoding", "sound", "scoring"]
    links = place.send(params={"wait": 60}).json()["links"]
    *steps, (name, _) = events_of(place.client.get(links["events"]).text)
    stages = [step["progress"]["stage"] for _, step in steps]
    assert stages == ["waiting", "starting", "decoding", "sound", "scoring"]
    assert [step["state"] for _, step in steps] == ["queued", *["running"] * 4]
    assert name == "done"


def test_what_passes_between_two_looks_is_told() -> None:
    jobs = Jobs(waiting=2, kept=2, answer_seconds=60)
    job = jobs.add(Job(("run",), "a.mp4", None, None, "somebody"))

    async def told() -> list[str]:
        news = stream(job, jobs, "")
        heard = [await anext(news)]
        jobs.progress(job, "decoding", 0.2)
        jobs.progress(job, "sound", 0.8)
        heard += [await anext(news) for _ in range(3)]
        jobs.progress(job, "scoring", 0.9)
        jobs.finish(job)
        heard += [event async for event in news]
        return [json.loads(event.split(b"data: ")[1])["progress"]["stage"] for event in heard]

    stages = [stage for stage, _ in groupby(asyncio.run(told()))]
    assert stages == ["waiting", "decoding", "sound", "scoring", "finished"]


def test_failures_of_workers_have_a_sentence(place: Place) -> None:
    place.lane.answer = lambda order: Failure("timeout", "It took too long.")
    sent = place.send(params={"wait": 60})
    assert (sent.status_code, sent.json()["problem"]["error"]) == (422, "timeout")
    text = place.client.get("/metrics").text
    assert 'traitscope_failures_total{reason="timeout"} 1.0' in text


@pytest.mark.parametrize("settings", [{"token": "secret"}])
def test_a_token_opens_everything_but_health(place: Place) -> None:
    client = place.client
    assert client.get("/v1/health").status_code == 200
    assert client.get("/v1/models").status_code == 401
    assert client.get("/").headers["www-authenticate"].startswith("Basic")
    assert client.get("/v1/models", headers={"authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/v1/models", headers={"authorization": "Bearer secret"}).status_code == 200
    assert client.get("/", auth=("anybody", "secret")).status_code == 200


@pytest.mark.parametrize("settings", [{"names": ("localhost",)}])
def test_pages_of_others_cannot_use_it(place: Place) -> None:
    foreign = place.client.get("/v1/models", headers={"host": "evil.example"})
    assert (foreign.status_code, foreign.json()["error"]) == (421, "wrong_host")
    crossed = place.send(headers={"origin": "http://evil.example"})
    assert (crossed.status_code, crossed.json()["error"]) == (403, "foreign_page")
    assert place.send(headers={"origin": "http://localhost"}).status_code == 202


@pytest.mark.parametrize("settings", [{"root_path": "/traits"}])
def test_links_keep_the_place_that_a_proxy_gives(place: Place) -> None:
    link = place.send().json()["links"]["self"]
    assert link.startswith("/traits/v1/predictions/")
    for path in (link, link.removeprefix("/traits")):  # proxies cut it off, or do not
        assert place.client.get(path).status_code == 200
    assert 'src="/traits/page/page.js"' in place.client.get("/").text


@pytest.mark.parametrize(
    ("how", "status"),
    [
        ({"content": b"{", "headers": {"content-type": "application/json"}}, 400),
        ({"json": ["text"]}, 422),
        ({"json": {"text": 3}}, 422),
        ({"json": {}}, 422),
        ({"content": b"--x\r\n", "headers": {"content-type": "multipart/form-data"}}, 400),
        ({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=y"}}, 400),
        ({"files": [("file", ("a", b"1")), ("file", ("b", b"2"))]}, 400),
        ({"files": {"file": ("a", b"")}}, 415),
        ({"content": b"RIFF", "params": {"wait": "long"}}, 422),
    ],
)
def test_bad_requests_have_a_reason_and_leave_nothing(
    place: Place, how: dict[str, Any], status: int
) -> None:
    sent = place.client.post(JOBS, **how)
    assert sent.status_code == status, sent.text
    assert set(sent.json()) == {"error", "reason"}
    assert not list(place.folder.iterdir())


def test_what_is_not_here_says_so(place: Place) -> None:
    for path in ("/nothing", "/v1/predictions/none", "/jobs/none/part", "/page/../page.py"):
        assert place.client.get(path).status_code == 404
    page = place.client.get("/jobs/none")
    assert page.status_code == 404
    assert "Send the recording again" in page.text


def test_the_document_of_the_api_is_whole(place: Place) -> None:
    tree = place.client.get("/v1/openapi.json").json()
    assert {"/v1/predictions", "/v1/models", "/v1/ready", "/metrics"} <= set(tree["paths"])
    assert "Document" in tree["components"]["schemas"]
    bodies = tree["paths"]["/v1/predictions"]["post"]["requestBody"]["content"]
    assert "multipart/form-data" in bodies


def until(holds: Any) -> None:
    """Wait for something that another thread or process does; pytest ends what never comes."""
    while not holds():
        time.sleep(0.01)
