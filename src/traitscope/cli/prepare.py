"""``traitscope prepare``: extract features from the media of a corpus into a store."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from traitscope.cli._options import Limit, Ray, Speaker, Stream, Track, Workers

if TYPE_CHECKING:
    from traitscope.features.preparation import Summary
    from traitscope.features.request import Request
    from traitscope.types import Corpus

app = typer.Typer(rich_markup_mode=None)
Retry = Annotated[
    bool, typer.Option("--retry", help="Try clips again that failed for a lasting reason.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Try a few clips, and estimate time and disk.")
]
_NAMED = 10  # failed clips that are named; the rest is counted


@app.command()
def prepare(
    corpus: Annotated[str, typer.Argument(help="Such as fi:/data/fi or table:clips.csv.")],
    store: Annotated[Path, typer.Option(help="Folder of the feature store; made when needed.")],
    settings: Annotated[
        list[str] | None, typer.Argument(help="EXTRACTOR.key=value, such as faces.rate=5.")
    ] = None,
    extract: Annotated[
        str | None, typer.Option(help="Extractors, such as faces,signals,short_term.")
    ] = None,
    for_: Annotated[
        str | None, typer.Option("--for", help="Recipe or model: extract what it needs.")
    ] = None,
    stream: Stream = None,
    speaker: Speaker = None,
    workers: Workers = None,
    ray: Ray = None,
    video_track: Track = None,
    audio_track: Track = None,
    limit: Limit = None,
    retry: Retry = False,
    dry_run: DryRun = False,
    json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Extract features; the same command again resumes; --retry tries all failed clips once more.

    traitscope prepare table:clips.csv --store store --extract faces,short_term faces.rate=2

    traitscope prepare fi:/data/fi --store store --for crnet --workers 8 --dry-run
    """
    from traitscope.cli._shared import log_to_stderr, progress, say, write_json
    from traitscope.corpora import load_corpus
    from traitscope.features.preparation import prepare as run_preparation
    from traitscope.features.preparation import with_tracks
    from traitscope.features.request import of_speaker
    from traitscope.media import Tracks, parse_limits

    log_to_stderr()
    how: dict[str, Any] = {"workers": workers, "retry": retry, "limits": parse_limits(limit or ())}
    requests = _requests(extract, for_, settings or [], stream or [])
    if speaker is not None:
        requests = list(of_speaker({r.key: r for r in requests}, speaker).values())
    # After the settings: a misspelt one is told before a large corpus is read.
    loaded = load_corpus(corpus)
    if video_track or audio_track:
        loaded = with_tracks(loaded, Tracks(video=video_track, audio=audio_track))
    if dry_run:
        _estimate(loaded, requests, store, how, json=json)
        return
    # The keys are said at once: a setting that makes another feature is seen before hours of work.
    say(f"preparing {', '.join(r.key for r in requests)} of {len(loaded.clips)} clips")
    with progress("clips") as hook:
        summary = run_preparation(loaded, requests, store=store, ray=ray, hook=hook, **how)
    if json:
        write_json(as_json(summary))
    else:
        _print(summary)
    _tell_notes(summary)
    _name_failures(summary)
    if summary.failed:
        raise typer.Exit(1)


def _estimate(
    corpus: "Corpus",
    requests: "list[Request]",
    store: Path,
    how: dict[str, Any],
    *,
    json: bool,
) -> None:
    from dataclasses import asdict

    from traitscope.cli._shared import duration, write_json
    from traitscope.cli.features import size
    from traitscope.features.preparation import estimate

    found = estimate(corpus, requests, store=store, **how)
    if json:
        write_json(asdict(found))
        return
    typer.echo(
        f"{found.clips} clips: {found.waiting} to extract, {found.finished} finished, "
        f"{found.missing} without media"
    )
    # Nothing waits, so there is nothing to be estimated.
    if not found.sampled:
        return
    low, high = (duration(seconds) for seconds in found.seconds)
    typer.echo(
        f"time: {low} to {high} with {found.workers} processes "
        f"({found.clip_seconds:.2f} s per clip in one; {len(found.sampled)} clips tried)"
    )
    for key, bytes_ in found.size_bytes.items():
        typer.echo(f"disk: {size(bytes_)} for {key}")
    for clip, status in found.failed.items():
        typer.echo(f"tried and failed: {clip}: {status}")


def _requests(
    extract: str | None, for_: str | None, settings: list[str], streams: list[str]
) -> "list[Request]":
    from traitscope.errors import ConfigError

    # Both would be two answers to one question, and neither is none.
    if (extract is None) == (for_ is None):
        raise ConfigError(
            "Say what to extract: either --extract faces,signals or --for RECIPE (or a model)."
        )
    if for_ is not None:
        # A recipe brings models along, whose import those who name extractors need not wait for.
        from traitscope.runs.plan import requests_for

        return requests_for(for_, settings, streams=streams)
    from traitscope.features.request import make_request
    from traitscope.registry import typed

    names = [name.strip() for name in str(extract).split(",") if name.strip()]
    own = typed(streams=names)
    return [
        make_request(name, changes, typed=own)
        for name, changes in by_extractor(names, settings).items()
    ]


def by_extractor(names: list[str], settings: list[str]) -> dict[str, dict[str, Any]]:
    """Sort ``faces.rate=5`` to the extractors that are asked for; a name may have dots itself.

    Raises:
        ConfigError: a setting is for an extractor that is not asked for.
    """
    from traitscope.config import parse_overrides
    from traitscope.errors import ConfigError

    sorted_: dict[str, list[str]] = {name: [] for name in names}
    for setting in settings:
        key = setting.partition("=")[0]
        # Not by the first dot: an extractor of the user's own is a dotted path.
        owner = next((name for name in names if key.startswith(f"{name}.")), None)
        if owner is None:
            raise ConfigError(
                f"{setting!r} has no effect: write EXTRACTOR.key=value for one of those in "
                f"--extract ({', '.join(names)})."
            )
        sorted_[owner].append(setting.removeprefix(f"{owner}."))
    return {name: parse_overrides(own) for name, own in sorted_.items()}


def as_json(summary: "Summary") -> dict[str, Any]:
    """The summary as JSON values."""
    from dataclasses import asdict

    return {
        **asdict(summary),
        "failures": [{"key": key, **asdict(row)} for key, row in summary.failures],
        "failed": list(summary.failed),
        "clips_per_second": summary.clips_per_second,
        "size_bytes": summary.size_bytes,
    }


def _print(summary: "Summary") -> None:
    from traitscope.cli._shared import write_table
    from traitscope.cli.features import percent, size
    from traitscope.errors import counted, some

    write_table(
        ["features", "ok", "failed", "coverage", "size"],
        [
            [
                feature.key,
                feature.ok,
                ", ".join(f"{n} {status}" for status, n in feature.failures.items()) or 0,
                percent(feature.coverage),
                size(feature.size_bytes),
            ]
            for feature in summary.features
        ],
    )
    made = f"{summary.extracted} worked on in {summary.seconds:.1f} s"
    parts = [f"{made} ({summary.clips_per_second:.2f} clips/s)"] if summary.extracted else []
    parts += [f"{summary.skipped} finished before"] if summary.skipped else []
    parts += [f"{len(summary.failed) or 'none'} lacking something"]
    typer.echo(f"{counted(summary.clips, 'clip')}: {', '.join(parts)}; {size(summary.size_bytes)}")
    if summary.untried:
        before = counted(summary.untried, "clip")
        typer.echo(f"{before} failed before and would fail again; to try: --retry")
    if summary.changed:
        typer.echo(
            f"extracted again, because the media is not what it was: {some(summary.changed)}"
        )


def _tell_notes(summary: "Summary") -> None:
    """Say what was noticed, a line for each kind with a clip as an example."""
    from traitscope.cli._shared import say

    for one in summary.notes[:_NAMED]:
        many = "1 clip" if len(one.clips) == 1 else f"{len(one.clips)} clips"
        say(f"note: {many}, such as {one.clips[0]}: {one.example}")
    more = len(summary.notes) - _NAMED
    if more > 0:
        say(f"and {more} more kinds of notes; all of them are in status.csv in the store.")


def _name_failures(summary: "Summary") -> None:
    """Say what is lacking, in one line for all features of a clip that lack for one reason."""
    from traitscope.cli._shared import say

    found: dict[tuple[str, str, str], list[str]] = {}
    for key, row in summary.failures:
        # The key without its hash: people know features by their extractor.
        name = key.rpartition("-")[0]
        found.setdefault((row.clip, row.status, row.reason), []).append(name)
    for (clip, status, reason), names in list(found.items())[:_NAMED]:
        say(f"failed: {clip}: {', '.join(names)}: {status}: {reason}")
    more = len(found) - _NAMED
    if more > 0:
        say(f"and {more} more failures; all of them are in status.csv in the store.")
