"""The FastAPI application: routes for programs under ``/v1``, and a page for people at ``/``."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from traitscope import __version__
from traitscope.service import examples
from traitscope.service.answers import (
    Health,
    JobAnswer,
    ModelList,
    Problem,
    job_tree,
    problem_tree,
    status_of,
)
from traitscope.service.crew import Crew
from traitscope.service.desk import Desk, client_of, known
from traitscope.service.events import stream, until_finished
from traitscope.service.guards import Guard
from traitscope.service.jobs import Job, Jobs
from traitscope.service.lanes import Lane
from traitscope.service.limits import Rate
from traitscope.service.metrics import Metrics
from traitscope.service.pages import add_pages
from traitscope.service.refusals import RefusedError
from traitscope.service.settings import Settings
from traitscope.service.uploads import Receiver, drain

_log = logging.getLogger(__name__)
_MOST_WAIT = 60.0
"""Seconds for which a client may hold a request open; proxies give up soon after."""
_SENDING = (400, 408, 413, 415, 422, 429, 503)
"""What may be said to whoever sends a recording."""
Wait = Annotated[float, Query(ge=0, le=_MOST_WAIT, description="Seconds to wait for the answer.")]


@dataclass
class Service:
    """One server's parts.

    Attributes:
        cards: what the runs are, by name; filled once the crew has started.
    """

    settings: Settings
    jobs: Jobs
    crew: Crew
    desk: Desk
    metrics: Metrics
    cards: dict[str, dict[str, Any]]

    def start(self) -> None:
        """Start the workers; until then there is nobody to score.

        Raises:
            TraitscopeError: a run, a package or a file is not as it should be.
        """
        self.crew.start()
        self.cards.update({card["name"]: card for card in self.crew.cards})


def make_service(lanes: list[Lane], folder: Path, settings: Settings) -> Service:
    """Put the parts of a server together.

    Args:
        lanes: who scores.
        folder: where recordings lie meanwhile; this server's own.
        settings: its bounds.
    """
    jobs = Jobs(
        waiting=settings.queue,
        kept=settings.answers,
        answer_seconds=60 * settings.answer_minutes,
        media_seconds=60 * settings.keep_minutes,
        explained=settings.explanations,
    )
    metrics = Metrics(jobs)
    cards: dict[str, dict[str, Any]] = {}
    desk = Desk(jobs, Receiver(folder, settings), Rate(settings.per_minute), metrics, cards)
    return Service(settings, jobs, Crew(jobs, lanes, ended=metrics.ended), desk, metrics, cards)


def make_application(service: Service) -> Any:
    """Make the ASGI application of a server; its workers start and end with it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if not service.cards:
            # In a thread: on a cluster it waits for other machines, and the loop must go on.
            await run_in_threadpool(service.start)
        try:
            yield
        finally:
            await run_in_threadpool(service.crew.close)

    app = FastAPI(
        title="traitscope",
        version=__version__,
        description=examples.ABOUT,
        servers=[{"url": service.settings.root_path or "/"}],
        docs_url=None,  # their scripts would come from another host
        redoc_url=None,
        openapi_url="/v1/openapi.json",
        lifespan=lifespan,
    )
    _add_sending(app, service)
    _add_why(app, service)
    _add_jobs(app, service)
    _add_facts(app, service)
    add_pages(app, service.jobs, service.desk, service.settings)
    _add_refusals(app, service)
    return Guard(app, settings=service.settings, responded=service.metrics.responded)


def _add_sending(app: FastAPI, service: Service) -> None:
    problems = examples.problems(Problem)

    @app.post(
        "/v1/predictions",
        status_code=202,
        response_model=JobAnswer,
        responses={
            200: {"model": JobAnswer, "description": "Scored, within wait."},
            **examples.some(problems, 409, *_SENDING),
        },
        openapi_extra=examples.SENT,
        summary="Send a recording, or words, to be scored.",
    )
    async def create(
        request: Request,
        wait: Wait = 0.0,
        idempotency_key: Annotated[str | None, Header(max_length=200)] = None,
    ) -> Response:
        job = await service.desk.take(
            client_of(request),
            request.headers.get("content-type", ""),
            request.stream(),
            query=_query(request, "model", "name", "text", "explain"),
            key=idempotency_key,
        )
        return await _answer(job, service, wait)


def _add_why(app: FastAPI, service: Service) -> None:
    jobs, root = service.jobs, service.settings.root_path
    problems = examples.problems(Problem)

    @app.post(
        "/v1/predictions/{job_id}/explanation",
        status_code=202,
        response_model=JobAnswer,
        responses={
            200: {"model": JobAnswer, "description": "Explained, within wait."},
            **examples.some(problems, 404, 409, 410, *_SENDING),
        },
        openapi_extra=examples.ASKED,
        summary="Ask what the scores of a job rest on: a job of its own.",
    )
    async def explain(request: Request, job_id: str, wait: Wait = 0.0) -> Response:
        job = await service.desk.explain(
            client_of(request),
            known(jobs, job_id),
            request.headers.get("content-type", ""),
            request.stream(),
            query=_query(request, "model"),
        )
        return await _answer(job, service, wait)

    @app.get(
        "/v1/predictions/{job_id}/explanation",
        response_model=JobAnswer,
        responses=examples.some(problems, 404, 422),
        summary="How far the explanation of a job is, and what it says.",
    )
    async def explanation(
        job_id: str,
        model: Annotated[str, Query(description="Whose scores; those asked for last.")] = "",
        wait: Wait = 0.0,
    ) -> Response:
        job = jobs.explanation(known(jobs, job_id), (model,) if model else ())
        if job is None:
            raise RefusedError(
                404, "not_asked", "Nobody has asked for it yet. Send a POST to this address."
            )
        await until_finished(job, jobs, wait)
        job.fetched = job.fetched or job.is_finished
        return JSONResponse(job_tree(job, jobs, root))


async def _answer(job: Job, service: Service, wait: float) -> Response:
    """Say where a new job is; or, to who waits, what came of it."""
    await until_finished(job, service.jobs, wait)
    waited = wait > 0
    job.fetched = job.fetched or (waited and job.is_finished)
    # Who does not wait gets the same answer however fast the job is.
    status = status_of(job) if waited else 202
    root = service.settings.root_path
    headers = {"Location": f"{root}/v1/predictions/{job.id}"}
    if status in {202, 503}:
        headers["Retry-After"] = "1" if status == 202 else "30"
    return JSONResponse(job_tree(job, service.jobs, root), status, headers)


def _query(request: Request, *names: str) -> dict[str, list[str]]:
    """Fields of a request that stand in its address."""
    every = {name: request.query_params.getlist(name) for name in names}
    return {name: values for name, values in every.items() if values}


def _add_jobs(app: FastAPI, service: Service) -> None:
    jobs, root = service.jobs, service.settings.root_path
    problems = examples.problems(Problem)

    @app.get(
        "/v1/predictions/{job_id}",
        response_model=JobAnswer,
        responses=examples.some(problems, 404, 422),
        summary="How far a job is, and what came of it.",
    )
    async def read(job_id: str, wait: Wait = 0.0) -> Response:
        job = known(jobs, job_id)
        await until_finished(job, jobs, wait)
        job.fetched = job.fetched or job.is_finished
        return JSONResponse(job_tree(job, jobs, root))

    @app.get(
        "/v1/predictions/{job_id}/events",
        response_class=StreamingResponse,
        responses={
            200: {"content": {"text/event-stream": {}}, "description": "Until the job has ended."},
            **examples.some(problems, 404, 422),
        },
        summary="News of a job, as they come (server-sent events).",
    )
    async def events(job_id: str) -> Response:
        news = stream(known(jobs, job_id), jobs, root)
        return StreamingResponse(
            news, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"}
        )

    @app.delete(
        "/v1/predictions/{job_id}",
        status_code=204,
        responses=examples.some(problems, 404, 422),
        summary="Take a job back: nothing of it is kept.",
    )
    async def delete(job_id: str) -> Response:
        jobs.forget(known(jobs, job_id))
        return Response(status_code=204)


def _add_facts(app: FastAPI, service: Service) -> None:
    @app.get("/v1/models", response_model=ModelList, summary="The runs, with their cards.")
    async def models() -> Any:
        return {"models": list(service.cards.values())}

    @app.get("/v1/health", response_model=Health, summary="Whether the server is there.")
    async def health() -> Any:
        return {"status": "ok"}

    @app.get(
        "/v1/ready",
        response_model=Health,
        responses={503: {"model": Health, "description": "Not now."}},
        summary="Whether a job would be taken.",
    )
    async def ready() -> Response:
        state = _readiness(service)
        if state == "ok":
            return JSONResponse({"status": state})
        return JSONResponse({"status": state}, 503, {"Retry-After": "5"})

    @app.get("/metrics", response_class=Response, summary="Counters, for Prometheus.")
    async def metrics() -> Response:
        return Response(service.metrics.write(), media_type=service.metrics.content_type)


def _readiness(service: Service) -> str:
    if service.jobs.draining:
        return "draining"
    if not service.crew.is_alive:
        return "starting" if not service.cards else "broken"
    full = service.jobs.waiting >= service.settings.queue
    return "full" if full else "ok"


def _add_refusals(app: FastAPI, service: Service) -> None:
    """Make every error one of our shape: no path, no traceback, nothing of what was sent."""

    @app.exception_handler(RefusedError)
    async def refused(request: Request, error: RefusedError) -> Response:
        service.metrics.refused(error.code)
        await drain(request.stream())
        headers = {"Retry-After": str(error.after)} if error.after is not None else {}
        return JSONResponse(problem_tree(error.code, str(error)), error.status, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        await drain(request.stream())
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])[:100]
        return JSONResponse(problem_tree("invalid", f"{where}: {first['msg']}."), 422)

    @app.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException) -> Response:
        if error.status_code in {404, 405}:
            await drain(request.stream())
        tree = problem_tree("not_here", f"{error.detail}. See /v1/openapi.json.")
        return JSONResponse(tree, error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> Response:
        _log.error("A request failed.", exc_info=error)
        return JSONResponse(problem_tree("internal", "Something went wrong on our side."), 500)
