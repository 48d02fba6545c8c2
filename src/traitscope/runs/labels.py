"""A run in, the annotations that it was trained on out."""

from pathlib import Path

from traitscope import registry
from traitscope.corpora import saved_corpus
from traitscope.data.record import same_place
from traitscope.errors import ConfigError, shown
from traitscope.runs.settings import RunConfig
from traitscope.types import Corpus


def own_corpus(folder: Path, config: RunConfig, labels: str | None = None) -> Corpus:
    """Load the annotations that a run was trained on; its address imports no code.

    Args:
        folder: the run.
        config: its settings.
        labels: the same address as the user typed it, if he did.

    Raises:
        ConfigError: ``labels`` is another; or a module from outside reads it, and was not named.
    """
    if labels is not None and same_place(labels) != same_place(config.data.corpus):
        raise ConfigError(f"{folder} was trained on {shown(config.data.corpus)}, not on {labels}.")
    typed = registry.typed(corpus=labels)
    source = str(folder / "run.yaml")
    return saved_corpus(config.data.corpus, typed, source=source, words="--labels")
