"""What a server counts, as Prometheus reads it; a registry of its own for each application."""

import time
from typing import Any

from traitscope.extras import require
from traitscope.service.jobs import Job, Jobs

_BOUNDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 160, 320, 640)
"""Seconds from the request to the answer, ends of the histogram's bins."""


class Metrics:
    """Counters of one application.

    Attributes:
        content_type: of what `write` gives.
    """

    def __init__(self, jobs: Jobs) -> None:
        client: Any = require("prometheus_client", extra="web", why="traitscope serve")
        self._client, self._registry = client, client.CollectorRegistry()
        self.content_type: str = client.CONTENT_TYPE_LATEST

        def counter(name: str, about: str, *labels: str) -> Any:
            return client.Counter(f"traitscope_{name}", about, labels, registry=self._registry)

        self._refused = counter("refused", "Requests that led to no job, by reason.", "reason")
        self._jobs = counter("jobs", "Jobs that have ended, by state and task.", "state", "task")
        self._failures = counter("failures", "Jobs without an answer, by reason.", "reason")
        self._answers = counter("responses", "Responses, by status.", "status")
        self._received = counter("received_bytes", "Of recordings.")
        self._seconds = client.Histogram(
            "traitscope_job_seconds",
            "From the arrival of a recording to its answer.",
            ["task"],
            buckets=_BOUNDS,
            registry=self._registry,
        )
        for name, about, read in (
            ("queue", "Jobs that wait.", lambda: jobs.waiting),
            ("unfinished", "Jobs that wait or run.", lambda: jobs.unfinished),
        ):
            gauge = client.Gauge(f"traitscope_{name}", about, registry=self._registry)
            gauge.set_function(read)

    def refused(self, reason: str) -> None:
        """Count a request that led to no job."""
        self._refused.labels(reason).inc()

    def received(self, count: int) -> None:
        """Count bytes of a recording."""
        self._received.inc(count)

    def responded(self, status: int) -> None:
        """Count a response."""
        self._answers.labels(str(status)).inc()

    def ended(self, job: Job) -> None:
        """Count a job that has ended."""
        self._jobs.labels(job.state, job.task).inc()
        if job.failure is not None:
            self._failures.labels(job.failure.code).inc()
        self._seconds.labels(job.task).observe((job.finished or time.monotonic()) - job.arrived)

    def write(self) -> bytes:
        """All of it in Prometheus' text format."""
        text: bytes = self._client.generate_latest(self._registry)
        return text
