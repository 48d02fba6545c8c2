"""What one server takes, keeps and waits for: bounds with defaults for one machine."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from traitscope.config import Config
from traitscope.media.limits import Limits

MIB = 2**20


class Settings(Config):
    """Bounds of a server; each of them is an answer to a client that asks for too much."""

    token: str = ""
    """What clients must show; empty for a server that anybody who reaches it may use."""

    names: tuple[str, ...] = ()
    """Host names under which browsers may call it; empty for any."""

    root_path: str = ""
    """Where a proxy puts the application, such as ``/traits``."""

    folder: Path | None = None
    """Where uploads lie meanwhile; None for the system's place for temporary files."""

    workers: PositiveInt = 1
    """Jobs that are scored at once, each in a process of its own."""

    queue: PositiveInt = 16
    """Jobs that may wait; the next client is asked to come back."""

    uploads: PositiveInt = 64
    """Uploads that are received at once."""

    upload_bytes: PositiveInt = 512 * MIB
    """Of one recording, counted as it comes."""

    upload_seconds: PositiveFloat = 600.0
    """Until a recording must have come as a whole."""

    idle_seconds: PositiveFloat = 20.0
    """Until the next piece of it, or of the head of a request, must have come."""

    spare_bytes: Annotated[int, Field(ge=0)] = 256 * MIB
    """Left free on the disk, beside the recordings."""

    per_minute: PositiveInt = 120
    """Jobs that one client may send in a minute."""

    job_seconds: PositiveFloat = 900.0
    """One try of one job: then its process is ended."""

    job_bytes: PositiveInt = 6 * 2**30
    """Memory of the process of a job: at more it is ended."""

    keep_minutes: Annotated[float, Field(ge=0)] = 0.0
    """A recording stays so long after its answer; 0 to delete it at once."""

    answer_minutes: PositiveFloat = 60.0
    """An answer can be fetched so long."""

    answers: PositiveInt = 1000
    """Answers that are kept at most; the oldest go first."""

    explanations: PositiveInt = 100
    """Explanations that are kept at most: each has a megabyte of pictures."""

    drain_seconds: PositiveFloat = 120.0
    """After SIGTERM, for jobs that were accepted."""

    limits: Limits = Limits(seconds=3600.0)
    """Of what a recording may ask for when it is decoded."""
