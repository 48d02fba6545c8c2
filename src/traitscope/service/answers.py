"""The shapes of answers, as the OpenAPI document publishes them."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field

from traitscope.prediction.documents import Document, TargetPart
from traitscope.service.jobs import Job, Jobs


class Problem(BaseModel):
    """Why something was not done."""

    error: str = Field(description="One word for programs.", examples=["no_face"])
    reason: str = Field(
        description="A sentence for people: what is wrong, and what to do.",
        examples=["There is no face in clip.mp4. Send a recording in which one can be seen."],
    )


class Progress(BaseModel):
    """How far a job is."""

    stage: Literal[
        "waiting",
        "starting",
        "decoding",
        "sound",
        "scoring",
        "pictures",
        "explaining",
        "finished",
    ]
    share: float = Field(ge=0, le=1, description="Of the whole job.")
    before: int = Field(ge=0, description="Jobs that come first.")


class Face(BaseModel):
    """A picture of the face that was looked at."""

    seconds: float
    jpeg: str = Field(description="In base64.")


class Result(BaseModel):
    """What one run says of the recording."""

    model: str = Field(description="Name of the run, as in /v1/models.")
    prediction: Document
    faces: list[Face] = Field(description="At a few moments, so that one sees whose scores it is.")


class Gap(BaseModel):
    """By how much deleting the strongest evidence moves a score farther than random parts do."""

    value: float
    low: float = Field(description="With high, 95 % of random orders.")
    high: float


class TraitEvidence(BaseModel):
    """What holds one score on its side of the reference."""

    target: str
    label: str
    score: float
    reference: float = Field(description="The score of what the recording is held against.")
    stream: str = Field(description="Whose loss costs most.")
    seconds: tuple[float, float] | None = Field(description="The stretch that counts most.")
    name: str = Field(description="The column, action unit or words that count most.")
    region: str = Field(description="The part of the face that counts most.")
    without: dict[str, float] = Field(description="Stream -> what the score loses without it.")
    deletion: Gap = Field(description="The deletion test.")
    verdict: str = Field(description="Of that test.", examples=["better than random"])


class Evidence(BaseModel):
    """What the scores of a recording rest on: what this model reacts to, not what the person is."""

    clip: str
    path: str
    run: str
    model: str
    kind: str
    corpus: str
    seconds: float
    method: str = Field(description="How the numbers were computed.")
    against: str = Field(description="What the recording is held against.")
    coverage: dict[str, float]
    notes: list[str]
    targets: list[TraitEvidence]


class ExplanationResult(BaseModel):
    """What one run's scores rest on."""

    model: str = Field(description="Name of the run, as in /v1/models.")
    status: str = Field(description="ok, or one word why there is no evidence.")
    reason: str
    evidence: Evidence | None


class JobAnswer(BaseModel):
    """One job, as far as it is."""

    task: Literal["scores", "explanation"] = Field(description="What it asks of the models.")
    id: str = Field(examples=["Jb0vVq3mTzQ8kC1xWn5rYg2d"])
    state: Literal["queued", "running", "done", "failed"]
    name: str = Field(description="What the sender called the recording.", examples=["clip.mp4"])
    models: list[str]
    created: str = Field(description="When it arrived, in ISO 8601.")
    progress: Progress
    results: list[Result] = Field(description="One per model, once the job is done.")
    explanations: list[ExplanationResult] = Field(
        description="Likewise, of a job that explains the scores of another."
    )
    explains: str | None = Field(description="The job whose scores it explains.")
    problem: Problem | None = Field(description="Why there is no score, where there is none.")
    links: dict[str, str] = Field(
        description="Where its state, events and page are, and where it is explained."
    )


class ModelAnswer(BaseModel):
    """A run that scores here, with its card."""

    name: str
    model: str = Field(description="Kind of the model.")
    kind: str
    about: str = Field(description="Whose judgement its scores resemble.")
    corpus: str
    backend: str | None
    reads: list[str] = Field(description="Of a recording: frames, tracks (faces), audio, text.")
    targets: list[TargetPart]
    note: str = Field(description="What its numbers are not.")
    not_for: list[str]
    card: str = Field(description="The model card, in Markdown.")


class ModelList(BaseModel):
    """The runs of this server; the first is asked where a job names none."""

    models: list[ModelAnswer]


class Health(BaseModel):
    """Whether the server is there, or ready."""

    status: Literal["ok", "starting", "draining", "full", "broken"]


STATUSES = {
    "undecodable": 415,
    "empty": 415,
    "unavailable": 503,
    "internal": 500,
}
"""Reason of a failed job -> status for a client that has waited for it; any other is 422: nothing
is wrong with the request or the server, but the recording cannot be scored."""


def job_tree(job: Job, jobs: Jobs, root: str = "") -> dict[str, Any]:
    """A job as JSON values, in the shape of `JobAnswer`."""
    here = f"{root}/v1/predictions/{job.id}"
    links = {"self": here, "events": f"{here}/events", "page": f"{root}/jobs/{job.id}"}
    if job.task == "scores":
        links["explanation"] = f"{here}/explanation"
    results = list(job.results) if job.is_finished else []
    explains = job.task == "explanation"
    return {
        "task": job.task,
        "id": job.id,
        "state": job.state,
        "name": job.name,
        "models": list(job.models),
        "created": job.created.isoformat(timespec="seconds"),
        "progress": {
            "stage": job.stage,
            "share": round(job.share, 3),
            "before": jobs.place_of(job),
        },
        "results": [] if explains else results,
        "explanations": [_explanation(one) for one in results] if explains else [],
        "explains": job.explains,
        "problem": problem_tree(job.failure.code, job.failure.reason) if job.failure else None,
        "links": links,
    }


def _explanation(result: Mapping[str, Any]) -> dict[str, Any]:
    """Evidence without its piece of a page, which is for people."""
    shown = {key: value for key, value in result.items() if key != "html"}
    return {**shown, "evidence": shown["evidence"] or None}


def problem_tree(code: str, reason: str) -> dict[str, str]:
    """A problem as JSON values, in the shape of `Problem`."""
    return {"error": code, "reason": reason}


def status_of(job: Job) -> int:
    """The status of HTTP for a client that has waited for a job."""
    if not job.is_finished:
        return 202
    return 200 if job.failure is None else STATUSES.get(job.failure.code, 422)
