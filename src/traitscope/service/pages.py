"""Pages for people: one to send a recording from, one for each job; they work without scripts."""

import asyncio
import csv
import io
from collections.abc import Awaitable, Callable
from functools import cache
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from jinja2 import Environment, FunctionLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool

from traitscope.escaping import cell
from traitscope.service.desk import Desk, client_of, known
from traitscope.service.explaining import is_gone
from traitscope.service.jobs import Job, Jobs
from traitscope.service.pdf import write_pdf
from traitscope.service.refusals import RefusedError
from traitscope.service.settings import MIB, Settings
from traitscope.service.uploads import drain
from traitscope.service.views import View, compare, views_of

STAGES = {
    "waiting": "waiting for its turn",
    "starting": "starting",
    "decoding": "reading pictures and looking for faces",
    "sound": "listening",
    "scoring": "scoring",
    "pictures": "taking pictures of the face that was looked at",
    "explaining": "asking the model what its scores rest on",
    "finished": "done",
}
LEAD = (
    "What observers would see in a recording of a person talking, or what the person would answer "
    "in a questionnaire, as a trained model guesses it: with how sure it is, when, and from what."
)
_PARTS = {
    "page.css": ("traitscope.service", "page/page.css", "text/css; charset=utf-8"),
    "page.js": ("traitscope.service", "page/page.js", "text/javascript; charset=utf-8"),
    "report.css": ("traitscope.report", "page.css", "text/css; charset=utf-8"),
    "explanation.css": ("traitscope.report", "explanation.css", "text/css; charset=utf-8"),
    "explanation.js": ("traitscope.report", "explanation.js", "text/javascript; charset=utf-8"),
}
"""Name in the address -> package, file and kind."""


def add_pages(app: FastAPI, jobs: Jobs, desk: Desk, settings: Settings) -> None:
    """Add the pages to an application."""
    environment = _environment()
    root = settings.root_path

    def shown(name: str, status: int = 200, **context: Any) -> HTMLResponse:
        base = {
            "root": root,
            "title": "Traits of a recording",
            "lead": LEAD,
            "job": None,
            "views": [],
            "problem": "",
            "cards": list(desk.cards.values()),
            "words": any("text" in card["reads"] for card in desk.cards.values()),
            "mib": settings.upload_bytes // MIB,
            "kept": _kept(settings),
            "stages": STAGES,
            "compare": compare,
            "is_gone": is_gone,
        }
        return HTMLResponse(environment.get_template(name).render({**base, **context}), status)

    @app.get("/", include_in_schema=False)
    async def home() -> Response:
        return shown("page.html")

    @app.get("/page/{name}", include_in_schema=False)
    async def part_of_page(name: str) -> Response:
        if name not in _PARTS:
            raise RefusedError(404, "not_here", "There is no such part of the page.")
        package, path, kind = _PARTS[name]
        return Response(_text(package, path), media_type=kind)

    @app.get("/jobs/{job_id}", include_in_schema=False)
    async def page(job_id: str) -> Response:
        try:
            job = known(jobs, job_id)
        except RefusedError as error:
            return shown("page.html", error.status, problem=str(error))
        title = f"Why: {job.name}" if job.task == "explanation" else job.name
        return shown("page.html", title=title, **_of(job, desk))

    @app.get("/jobs/{job_id}/part", include_in_schema=False)
    async def part(job_id: str) -> Response:
        return shown("part.html", **_of(known(jobs, job_id), desk))

    _add_forms(app, jobs, desk, root, shown=shown)
    _add_downloads(app, jobs, desk)


def _add_forms(
    app: FastAPI, jobs: Jobs, desk: Desk, root: str, *, shown: Callable[..., HTMLResponse]
) -> None:
    async def sent(request: Request, coming: Awaitable[Job]) -> Response:
        """Go to the page of a job that a form asks for, or say why there is none."""
        try:
            job = await coming
        except RefusedError as error:
            desk.metrics.refused(error.code)
            await drain(request.stream())
            return shown("page.html", error.status, problem=str(error))
        return RedirectResponse(f"{root}/jobs/{job.id}", 303)

    @app.post("/jobs", include_in_schema=False)
    async def send(request: Request) -> Response:
        kind, client = request.headers.get("content-type", ""), client_of(request)
        coming = desk.take(client, kind, request.stream(), query={}, key=None)
        return await sent(request, coming)

    @app.post("/jobs/{job_id}/why", include_in_schema=False)
    async def why(request: Request, job_id: str) -> Response:
        async def asked() -> Job:
            kind, job = request.headers.get("content-type", ""), known(jobs, job_id)
            return await desk.explain(client_of(request), job, kind, request.stream(), query={})

        return await sent(request, asked())


def _add_downloads(app: FastAPI, jobs: Jobs, desk: Desk) -> None:
    drawing = asyncio.Lock()

    @app.get("/jobs/{job_id}/answer.json", include_in_schema=False)
    async def as_json(job_id: str) -> Response:
        job = _finished(jobs, job_id)
        # One run's document is what `traitscope predict --json` prints; of several, a list.
        documents = [result["prediction"] for result in job.results]
        tree = documents[0] if len(documents) == 1 else documents
        return JSONResponse(tree, headers=_saved_as(job, "json"))

    @app.get("/jobs/{job_id}/answer.csv", include_in_schema=False)
    async def as_csv(job_id: str) -> Response:
        job = _finished(jobs, job_id)
        text = _table(job)
        return Response(text, media_type="text/csv", headers=_saved_as(job, "csv"))

    @app.get("/jobs/{job_id}/answer.pdf", include_in_schema=False)
    async def as_pdf(job_id: str) -> Response:
        job = _finished(jobs, job_id)
        views = views_of(job.results, desk.cards)
        # Drawing takes a second or two: the loop must not wait for it. One at a time, since the
        # library shares its fonts between threads.
        async with drawing:
            content = await run_in_threadpool(write_pdf, views)
        return Response(content, media_type="application/pdf", headers=_saved_as(job, "pdf"))


def _of(job: Job, desk: Desk) -> dict[str, Any]:
    job.fetched = job.fetched or job.is_finished
    scored = job.is_finished and job.task == "scores"
    views: list[View] = views_of(job.results, desk.cards) if scored else []
    return {"job": job, "views": views}


def _finished(jobs: Jobs, job_id: str) -> Job:
    job = known(jobs, job_id)
    if not job.is_finished or not job.results or job.task != "scores":
        raise RefusedError(409, "no_answer", "There is no answer to download. Wait for the job.")
    return job


def _table(job: Job) -> str:
    """A row per run, person and target, as spreadsheets read it."""
    text = io.StringIO()
    writer = csv.writer(text)
    header = ["recording", "run", "person", "status", "target", "score", "low", "high", "level"]
    writer.writerow([*header, "percentile"])
    for result in job.results:
        for clip in result["prediction"]["clips"]:
            person = (clip.get("person") or {}).get("number", "")
            start = [clip["clip"], result["model"], person, clip["status"]]
            for name, score in clip["scores"].items() or [("", "")]:
                interval = clip.get("intervals", {}).get(name, {})
                ends = [interval.get(key, "") for key in ("low", "high", "level")]
                place = clip.get("percentiles", {}).get(name, "")
                writer.writerow(map(cell, [*start, name, score, *ends, place]))
    return text.getvalue()


def _saved_as(job: Job, suffix: str) -> dict[str, str]:
    # The name of the recording is the sender's: a header takes none of it.
    return {"Content-Disposition": f'attachment; filename="traits-{job.id[:8]}.{suffix}"'}


def _kept(settings: Settings) -> str:
    minutes = settings.keep_minutes
    return f" and deleted after {minutes:g} minutes" if minutes else " and deleted at once"


@cache
def _text(package: str, path: str) -> str:
    return files(package).joinpath(path).read_text(encoding="utf-8")


def _environment() -> Environment:
    def load(name: str) -> str:
        return _text("traitscope.service", f"page/{name}")

    return Environment(
        loader=FunctionLoader(load),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
