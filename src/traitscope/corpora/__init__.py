"""Annotations on disk -> Corpus of Clips; one file per corpus.

Each file exports ``load(path) -> Corpus``; an address says which one reads what:
``table:clips.csv``, ``first_impressions:/data/fi``, in short ``fi:/data/fi``. A corpus with
``OPTIONS`` takes them after a comma, as text: ``udiva:/data/udiva,task=talk``.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from traitscope import registry
from traitscope.errors import ConfigError, shown

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
    return saved_corpus(address, registry.typed(corpus=address))


def saved_corpus(
    address: str, typed: registry.Typed = registry.NOTHING, *, source: str = "", words: str = ""
) -> "Corpus":
    """Load a corpus by an address that a file holds, such as a run.

    A module from outside is imported only where the user typed its name, too.

    Args:
        address: see `load_corpus`.
        typed: what the user typed.
        source: the file with the address, for the message.
        words: what to type in this command in front of the address: ``--labels``.

    Raises:
        ConfigError: as `load_corpus`; or the user did not type the name of an outside module.
        DataError: the annotations have faults; all of them are listed.
    """
    name, colon, rest = address.partition(":")
    # C:\clips and ./a:b/clips.csv have a colon, too, and name no corpus.
    if not colon or _is_drive(name, rest) or re.search(r"[/\\]", name):
        guess = "table" if address.lower().endswith((".csv", ".tsv", ".parquet")) else "CORPUS"
        raise ConfigError(
            f"{shown(address)} does not say which corpus it is; write <corpus>:<path>, for example "
            f"{guess}:{address[:200]}. There are: {', '.join(registry.names('corpora'))}."
        )
    if not rest:
        raise ConfigError(f"{address!r} has no path; write for example {address}/data/clips.")
    # An option is typed with a space before its value, a setting is not: data.corpus=ADDRESS.
    words = f"{words} {address}".replace("= ", "=") if words else ""
    module = registry.load(
        "corpora", SHORT.get(name, name), typed=typed, source=source, words=words
    )
    if not hasattr(module, "load"):
        raise ConfigError(f"{name!r} is not a corpus: it has no function load(path) -> Corpus.")
    path, options = _options(rest, list(getattr(module, "OPTIONS", ())), address)
    place = Path(path).expanduser()
    # A pipe would wait for a writer, and a device such as /dev/zero never ends.
    if place.exists() and not (place.is_file() or place.is_dir()):
        raise ConfigError(f"{shown(address)} is a pipe or a device. Name a file or a folder.")
    corpus: Corpus = module.load(place, **options)
    return corpus


def _options(rest: str, known: list[str], address: str) -> tuple[str, dict[str, str]]:
    """Take ``,key=value`` from the end of a path; a comma may also be part of the path."""
    path, options = rest, dict[str, str]()
    # From the end on, and no value with a slash in it: /data/x,task=a/udiva is a path, whose folder
    # has a comma in its name. A corpus without options keeps every comma.
    while known and (option := re.fullmatch(r"(.+),(\w+)=([^,/\\]*)", path)):
        path, key, value = option.groups()
        if key not in known:
            raise ConfigError(f"{address!r}: {registry.unknown(key, known, 'options')}")
        options[key] = value
    return path, options


def _is_drive(name: str, rest: str) -> bool:
    """Tell a path on a Windows drive from an address."""
    return len(name) == 1 and rest[:1] in {"/", "\\"}
