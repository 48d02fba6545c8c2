"""Where requests become jobs: room, rate, idempotency, and whether the recording is one at all."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from traitscope.media.opening import other_than_media
from traitscope.service import explaining
from traitscope.service.jobs import FullError, Job, Jobs, ReusedError, discard
from traitscope.service.limits import Rate
from traitscope.service.metrics import Metrics
from traitscope.service.refusals import RefusedError
from traitscope.service.uploads import Receiver, Upload, harmless

_KEY_LETTERS = 200
_YES, _NO = frozenset({"true", "1", "on", "yes"}), frozenset({"false", "0", "off", "no", ""})


@dataclass
class Desk:
    """Takes requests in.

    Attributes:
        cards: of the runs, by name, in order.
    """

    jobs: Jobs
    receiver: Receiver
    rate: Rate
    metrics: Metrics
    cards: Mapping[str, Mapping[str, Any]]

    async def take(
        self,
        client: str,
        kind: str,
        body: AsyncIterator[bytes],
        *,
        query: dict[str, list[str]],
        key: str | None,
    ) -> Job:
        """Receive one request and put its job into the line.

        Args:
            client: who sends it.
            kind: its content type.
            body: its pieces.
            query: fields of the address, beside those of the body.
            key: an idempotency key, if it has one.

        Raises:
            RefusedError: there is no room, the client comes too often, or the request is not
                one of ours.
        """
        self._check_rate(client)
        if key is None:
            return await self._new(client, kind, body, query)
        return await self._again(client, kind, body, query, key)

    async def explain(
        self,
        client: str,
        job: Job,
        kind: str,
        body: AsyncIterator[bytes],
        *,
        query: dict[str, list[str]],
    ) -> Job:
        """Put a job into the line that explains another; the one of before, if it is there.

        Args:
            client: who asks.
            job: whose scores.
            kind: content type of the body; empty where nothing is sent.
            body: the recording once more, or only fields.
            query: fields of the address.

        Raises:
            RefusedError: there is nothing to explain, the recording is gone or another one, there
                is no room, or the client comes too often.
        """
        self._check_rate(client)
        explaining.check_explainable(job)
        self._check_room()
        upload = await self._receive(kind, body, query) if kind else Upload(fields=query)
        try:
            models = explaining.explained_models(job, upload)
            explaining.check_same_recording(job, upload)
            before = self.jobs.explanation(job, models)
            if before is not None and before.failure is None:
                upload.discard()
                return before
            asked = explaining.explanation_job(job, models, client, sent=upload.path)
        except BaseException:
            upload.discard()
            raise
        self._add(asked)
        if self.jobs.find(job.id) is None:  # taken back while the recording came
            self.jobs.forget(asked)
        return asked

    def _check_rate(self, client: str) -> None:
        seconds = self.rate.wait(client)
        if seconds:
            why = f"That was too often. Come back in {seconds} s."
            raise RefusedError(429, "too_often", why, after=seconds)

    def _check_room(self) -> None:
        try:
            self.jobs.check_room()
        except FullError as full:
            raise _full(full) from None

    def _add(self, *jobs: Job) -> None:
        """Put jobs into the line, or delete their recordings."""
        try:
            self.jobs.add(*jobs)
        except FullError as full:
            for job in jobs:
                discard(job)
            raise _full(full) from None

    async def _again(
        self,
        client: str,
        kind: str,
        body: AsyncIterator[bytes],
        query: dict[str, list[str]],
        key: str,
    ) -> Job:
        """The job that a key has led to before, or a new one."""
        if not 0 < len(key) <= _KEY_LETTERS:
            raise RefusedError(400, "bad_key", f"A key has 1 to {_KEY_LETTERS} letters.")
        try:
            before = self.jobs.reserve(client, key)
            if before is not None:
                # Sent again, it comes as a whole again: whether it is the same is seen at its end.
                upload = await self._receive(kind, body, query)
                upload.discard()
                self.jobs.check_same(client, key, upload.digest)
                return before
        except ReusedError as error:
            raise RefusedError(409, "reused_key", str(error)) from None
        try:
            return await self._new(client, kind, body, query, key)
        finally:
            self.jobs.release(client, key)

    async def _new(
        self,
        client: str,
        kind: str,
        body: AsyncIterator[bytes],
        query: dict[str, list[str]],
        key: str | None = None,
    ) -> Job:
        self._check_room()
        upload = await self._receive(kind, body, query)
        try:
            jobs = [self._job(client, upload)]
            if _flag(upload, "explain"):
                jobs.append(explaining.explanation_job(jobs[0], jobs[0].models, client))
        except BaseException:
            upload.discard()
            raise
        self._add(*jobs)
        if key is not None:
            self.jobs.settle(client, key, jobs[0], upload.digest)
        return jobs[0]

    async def _receive(
        self, kind: str, body: AsyncIterator[bytes], query: dict[str, list[str]]
    ) -> Upload:
        upload = await self.receiver.receive(kind, body)
        for name, values in query.items():
            upload.fields.setdefault(name, values)
        self.metrics.received(upload.size)
        return upload

    def _job(self, client: str, upload: Upload) -> Job:
        models = self._models(upload)
        reads = {need for name in models for need in self.cards[name]["reads"]}
        words = upload.first("text")
        if words is not None and "text" not in reads:
            raise RefusedError(
                422,
                "no_words_read",
                f"{', '.join(models)} reads no words. Send a recording, or ask a model that does.",
            )
        if upload.path is None and not (words or "").strip():
            raise RefusedError(
                422, "nothing", "There is no recording. Send one as the field 'file' of a form."
            )
        if upload.path is not None and "text" not in reads:
            # What is plainly something else is told at once; the rest is for a worker to find out.
            other = other_than_media(upload.path)
            if other:
                raise RefusedError(
                    415,
                    "undecodable",
                    f"{upload.name} cannot be opened as media: it is {other}. Send the recording "
                    f"itself.",
                )
        name = harmless(upload.first("name") or upload.name)
        digest = upload.content if upload.path is not None else ""
        return Job(models, name, words, upload.path, client, digest=digest)

    def _models(self, upload: Upload) -> tuple[str, ...]:
        """The runs that a request names, once each; the first of all where it names none."""
        named = [name for name in upload.fields.get("model", []) if name]
        models = tuple(dict.fromkeys(named)) or tuple(self.cards)[:1]
        for name in models:
            if name not in self.cards:
                there = ", ".join(self.cards)
                raise RefusedError(
                    422, "no_such_model", f"There is no model {name[:40]!r} here, but {there}."
                )
        return models


def _flag(upload: Upload, name: str) -> bool:
    """Whether a field that is yes or no says yes.

    Raises:
        RefusedError: it says something else.
    """
    value = (upload.first(name) or "").strip().lower()
    if value not in _YES | _NO:
        raise RefusedError(422, "no_flag", f"{name}={value[:40]!r} must be true or false.")
    return value in _YES


def _full(error: FullError) -> RefusedError:
    why = f"Others come first. Come back in {error.seconds} s."
    return RefusedError(503, "full", why, after=error.seconds)


def client_of(request: Request) -> str:
    """Who sends a request: the address that it comes from."""
    return request.client.host if request.client is not None else "unknown"


def known(jobs: Jobs, job_id: str) -> Job:
    """The job of an id.

    Raises:
        RefusedError: there is none.
    """
    job = jobs.find(job_id)
    if job is None:
        raise RefusedError(
            404,
            "unknown",
            "There is no such job: it was taken back or has expired, or this server was started "
            "anew. Send the recording again.",
        )
    return job
