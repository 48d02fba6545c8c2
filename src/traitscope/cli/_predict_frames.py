"""``predict --frames``: scores and features of every frame of a corpus, as streams of its store."""

from collections.abc import Sequence
from pathlib import Path

import typer

NAMED = 10  # clips that are told; the rest is counted


def predict_frames(
    run: Path, media: Sequence[Path], store: Path | None, *, model: str | None, json: bool
) -> None:
    """Score the frames of the one corpus among the arguments, and say what was written.

    Raises:
        ConfigError: there is no store, or not one corpus.
    """
    from traitscope.cli._shared import log_to_stderr, progress, say, write_json
    from traitscope.corpora import load_corpus
    from traitscope.errors import ConfigError
    from traitscope.prediction.frames import score_frames

    log_to_stderr()
    if store is None or len(media) != 1:
        raise ConfigError(
            "--frames takes one corpus and its features: traitscope predict RUN CORPUS --frames "
            "--store S, as in: traitscope predict runs/senet fi:/data/fi --frames --store features"
        )
    corpus = load_corpus(str(media[0]))
    with progress("clips") as hook:
        scored = score_frames(run, corpus, store, model=model, hook=hook)
    streams = [request.config.model_dump()["name"] for request in scored.requests]
    if json:
        failed = [dict(failure) for failure in scored.failed]
        write_json({"streams": streams, "clips": scored.clips, "failed": failed})
    else:
        typer.echo(f"{' and '.join(streams)} of {scored.clips} clips are in {store}.")
        typer.echo(f"Next: traitscope train statistics_mlp data.corpus={corpus.name} ", nl=False)
        typer.echo(f"data.store={store} data.first_stage={run}")
    for note in scored.notes:
        say(f"note: {note}")
    if scored.seen:
        say(
            f"note: {scored.seen} clips were scored by a network that has learnt from them; a run "
            f"with folds scores them out of fold (protocol.kind=kfold protocol.fold=all)."
        )
    for failure in scored.failed[:NAMED]:
        say(f"not scored: {failure['clip']}: {failure['reason']}")
    if len(scored.failed) > NAMED:
        say(f"and {len(scored.failed) - NAMED} more.")
    if scored.failed:
        raise typer.Exit(1)
