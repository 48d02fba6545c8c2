"""Who asks why gets a job of his own: it explains the scores of another, from the same recording.

In: a job, and its recording (kept, or sent once more). Out: a job for the same line and the same
workers. It has a recording of its own (a second name of the same file), so that neither job has to
know when the other is done with it.
"""

from collections.abc import Sequence
from pathlib import Path

from traitscope.service.jobs import Job
from traitscope.service.refusals import RefusedError
from traitscope.service.uploads import Upload, another_name


def explanation_job(
    job: Job, models: Sequence[str], client: str, *, sent: Path | None = None
) -> Job:
    """Make the job that explains some models' scores of another job.

    Args:
        job: whose scores.
        models: of the job.
        client: who asks.
        sent: the recording, where it came once more; None takes that of the job.

    Raises:
        RefusedError: that is deleted.
    """
    return Job(
        tuple(models),
        job.name,
        job.words,
        sent or _recording_of(job),
        client,
        task="explanation",
        digest=job.digest,
        explains=job.id,
    )


def check_explainable(job: Job) -> None:
    """Refuse to explain what has no scores.

    Raises:
        RefusedError: the job has failed, or is itself an explanation.
    """
    if job.task != "scores" or job.failure is not None:
        raise RefusedError(
            409,
            "no_scores",
            "There are no scores to explain. Ask for those of a job that has some.",
        )


def explained_models(job: Job, upload: Upload) -> tuple[str, ...]:
    """Whose scores are to be explained: those that the request names, else all of the job.

    Raises:
        RefusedError: the job knows nothing of one of them.
    """
    models = tuple(dict.fromkeys(filter(None, upload.fields.get("model", ())))) or job.models
    for name in models:
        if name not in job.models:
            others = ", ".join(job.models)
            raise RefusedError(
                422, "no_such_model", f"{name[:40]!r} was not asked for scores, but {others}."
            )
    return models


def check_same_recording(job: Job, upload: Upload) -> None:
    """Refuse a recording that is not the one which was scored.

    Raises:
        RefusedError: it is another one.
    """
    if upload.path is not None and upload.content != job.digest:
        raise RefusedError(
            409,
            "other_recording",
            "This is not the recording that was scored. Send that one, or score this one first.",
        )


def is_gone(job: Job) -> bool:
    """Whether the recording of a job is deleted; words are kept with the answer."""
    return bool(job.digest) and job.path is None


def _gone() -> RefusedError:
    return RefusedError(
        410,
        "gone",
        "The recording was deleted when its answer was ready. Send it once more with this request, "
        "as the field 'file' of a form; or ask for the explanation with the scores (explain=true).",
    )


def _recording_of(job: Job) -> Path | None:
    if not job.digest:
        return None
    held = job.path
    try:
        if held is not None:
            return another_name(held)
    except FileNotFoundError:  # deleted meanwhile
        pass
    raise _gone()
