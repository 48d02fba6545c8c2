"""Annotations on disk -> Corpus of Clips; one file per corpus.

Each file exports ``load(path) -> Corpus``; an address says which one reads what:
``table:clips.csv``, ``first_impressions:/data/fi``, in short ``fi:/data/fi``. A corpus with
``OPTIONS`` takes them after a comma, as text: ``udiva:/data/udiva,task=talk``.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from traitscope import registry
from traitscope.errors import ConfigError

if TYPE_CHECKING:
    from traitscope.types import Corpus

SHORT = {"fi": "first_impressions"}
"""Short forms of the corpora's names."""


def load_corpus(address: str) -> "Corpus":
    """Load the annotations of a corpus; its media may be missing.

    Args:
        address: ``<corpus>:<path>``, options of the corpus after it (``,task=talk``); a corpus of
            your own is a dotted path to a module that has ``load(path) -> Corpus``:
            ``my_lab.my_corpus:/data/mine``.

    Raises:
        ConfigError: the address is incomplete, or there is no such corpus or option.
        DataError: the annotations have faults; all of them are listed.

    Example:
        >>> from traitscope import load_corpus
        >>> corpus = load_corpus("table:study/clips.csv")  # doctest: +SKIP
    """
    name, colon, rest = address.partition(":")
    if not colon or _is_drive(name, rest) or re.search(r"[/\\]", name):
        guess = "table" if address.lower().endswith((".csv", ".tsv", ".parquet")) else "CORPUS"
        raise ConfigError(
            f"{address!r} does not say which corpus it is; write <corpus>:<path>, for example "
            f"{guess}:{address}. There are: {', '.join(registry.names('corpora'))}."
        )
    if not rest:
        raise ConfigError(f"{address!r} has no path; write for example {address}/data/clips.")
    module = registry.load("corpora", SHORT.get(name, name), outside=True)
    if not hasattr(module, "load"):
        raise ConfigError(f"{name!r} is not a corpus: it has no function load(path) -> Corpus.")
    path, options = _options(rest, list(getattr(module, "OPTIONS", ())), address)
    corpus: Corpus = module.load(Path(path).expanduser(), **options)
    return corpus


def _options(rest: str, known: list[str], address: str) -> tuple[str, dict[str, str]]:
    """Take ``,key=value`` from the end of a path; a comma may also be part of the path."""
    path, options = rest, dict[str, str]()
    while known and (option := re.fullmatch(r"(.+),(\w+)=([^,/\\]*)", path)):
        path, key, value = option.groups()
        if key not in known:
            raise ConfigError(f"{address!r}: {registry.unknown(key, known, 'options')}")
        options[key] = value
    return path, options


def _is_drive(name: str, rest: str) -> bool:
    """Tell a path on a Windows drive from an address."""
    return len(name) == 1 and rest[:1] in {"/", "\\"}
