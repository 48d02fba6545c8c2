"""Mean and sd of every signal per clip against every target: corrected, and honest about clusters.

Pearson and Spearman with 95 % clustered intervals. Clips of one person resemble each other in
signals and in labels alike, so a p-value that counts clips as independent finds what is not there.
So
p-values are cluster-robust (`robust`), and those of both methods together are one family for
Benjamini and Hochberg (1995).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.analysis.naming import readable
from traitscope.audit import scored_run, scored_table
from traitscope.audit.scored import Scored, numbers
from traitscope.data.pooling import pool
from traitscope.data.protocols import cluster_numbers
from traitscope.errors import ConfigError, DataError, shown
from traitscope.features.origins import serving
from traitscope.features.remote import open_store
from traitscope.features.store import OK, Store
from traitscope.files import read_json, write_csv
from traitscope.statistics.correlation import correlate, from_sums
from traitscope.statistics.metrics import Array
from traitscope.statistics.resampling import estimate
from traitscope.types import Clip, Corpus, Target

LEVEL = 0.05
"""False discovery rate that is aimed at."""
STATISTICS = ("mean", "sd")
METHODS = ("pearson", "spearman")
_RESAMPLES = 1_000  # of the intervals: one set per signal and method
# How tracking went, not what a person did: it would correlate with the recording.
_BOOKKEEPING = {"confidence", "success", "frame", "face_id"}


@dataclass(frozen=True)
class Measured:
    """Signals of clips, one row each.

    Attributes:
        key: of the features in the store.
        extractor: what made them.
        clips: those whose signals are there.
        columns: names of the signals.
        values: (clips, statistics, columns), NaN where a signal was not measured.
        provenance: column -> where it comes from, when the stream says so.
    """

    key: str
    extractor: str
    clips: tuple[Clip, ...]
    columns: tuple[str, ...]
    values: Array
    provenance: Mapping[str, str]


def correlate_signals(
    corpus: Corpus,
    store: Store | Path | str,
    *,
    stream: str = "signals",
    split: str | None = None,
    predictions: Path | None = None,
    circular: bool = False,
) -> dict[str, Any]:
    """Hold the mean and sd of every signal of a clip against every target.

    Args:
        corpus: the labels.
        store: where the signals are.
        stream: an extractor's name, or the key of its features where the store has several.
        split: only these clips; all clips by default (the test split with predictions).
        predictions: a run, or a table: its predictions instead of the labels.
        circular: allow predictions of a run that reads these very signals.

    Returns:
        ``rows``: signal, name, statistic, target, n, and per method value, low, high, p and q
        (corrected over the ``family`` of all rows and both methods); ``notes``.

    Raises:
        DataError: the signals are not in the store.
        ConfigError: predictions of a model would be held against its own inputs.
    """
    store = store if isinstance(store, Store) else open_store(store)
    store = serving(store, corpus.clips, corpus=corpus.name)
    key = _key(store, stream)
    scored = None
    if predictions is not None:
        _refuse_circular(predictions, key, store, allowed=circular)
        scored = _predicted(predictions, corpus, split or "test")
    elif circular:
        raise ConfigError("--circular has no effect without --predictions.")
    clips = scored.clips if scored else [c for c in corpus.clips if split in (None, c.split)]
    measured = measure(store, key, [clip for clip in clips if scored or clip.targets])
    targets, values = _held_against(measured, corpus, scored)
    clusters = cluster_numbers(measured.clips)
    rows = _rows(measured, targets, values, clusters)
    is_circular = predictions is not None and _reads(predictions, key, store)
    result: dict[str, Any] = {
        "schema": 1,
        "analysis": "signals-traits",
        "corpus": corpus.name,
        "kind": corpus.kind,
        "against": f"predictions of {scored.name}" if scored else "labels",
        "circular": is_circular,
        "key": key,
        "clips": len(measured.clips),
        "clusters": int(clusters.max(initial=-1)) + 1,
        "family": sum(row[method]["p"] is not None for row in rows for method in METHODS),
        "level": LEVEL,
        "targets": [{"name": t.name, "label": t.label} for t in targets],
        "rows": rows,
    }
    return result | {"notes": _notes(result, measured)}


def measure(store: Store, key: str, clips: Sequence[Clip]) -> Measured:
    """Read the signals of clips, and reduce each to its statistics.

    Raises:
        DataError: no clip has signals, or the stream holds no named numbers.
    """
    statuses = store.statuses(key)
    measured = [c for c in clips if c.id in statuses and statuses[c.id].status == OK]
    if not measured:
        raise DataError(
            f"None of {len(clips)} clips has {key} in {store.folder}. Make them with: "
            f"traitscope prepare CORPUS --store {store.folder} --extract signals"
        )
    # A key stands for one extractor with one set of settings, so all its clips have these columns.
    first = store.read(key, measured[0].id)
    columns = tuple(c for c in first.columns if c not in _BOOKKEEPING)
    if not columns:
        raise DataError(f"{key} has no named columns to correlate. Name another stream.")
    keep = [first.columns.index(column) for column in columns]
    rows = []
    for clip in measured:
        pooled = pool(store.read(key, clip.id), STATISTICS)
        # Pooled comes  [mean of every column | sd of every column], those of bookkeeping included.
        rows.append(pooled.reshape(len(STATISTICS), len(first.columns))[:, keep])
    extractor = str(store.fingerprints()[key].get("extractor", ""))
    provenance = dict(first.info.get("provenance") or {})
    return Measured(key, extractor, tuple(measured), columns, np.stack(rows), provenance)


def write_table(result: Mapping[str, Any], path: Path) -> Path:
    """Write one row per signal, statistic and target as CSV."""
    parts = ("value", "low", "high", "p", "q")
    head = ["signal", "name", "statistic", "target", "clips"]
    cells = [(method, part) for method in METHODS for part in parts]
    named = [f"{method}_{part}".removesuffix("_value") for method, part in cells]
    rows = (
        [*(row[name] for name in head[:4]), row["n"], *(row[m][part] for m, part in cells)]
        for row in result["rows"]
    )
    return write_csv(path, [*head, *named], rows)


def _key(store: Store, stream: str) -> str:
    fingerprints = store.fingerprints()
    if stream in fingerprints:
        return stream
    # An extractor's name stands for its features as long as it has one set of them.
    keys = [key for key, facts in fingerprints.items() if facts.get("extractor") == stream]
    if not keys:
        raise DataError(
            f"{store.folder} has no {stream!r}; it has: {', '.join(fingerprints) or 'nothing'}. "
            f"Make it with: traitscope prepare CORPUS --store {store.folder} --extract {stream}"
        )
    if len(keys) > 1:
        raise DataError(f"{store.folder} has several: {', '.join(keys)}. Name one with --stream.")
    return keys[0]


def _reads(predictions: Path, key: str, store: Store) -> bool:
    """Whether a run reads the extractor that made these signals, with whatever settings."""
    # Nobody but its author knows what the system behind a table read; a note says so.
    if not predictions.is_dir():
        return False
    path, damaged = predictions / "features.json", "Train again."
    tree = read_json(path, root=dict, damaged=damaged)
    extractor = store.fingerprints()[key].get("extractor")
    try:
        streams = tree["streams"].values()
        # Other settings of the same extractor give nearly the same signals.
        return any(s["key"] == key or s["extractor"] == extractor for s in streams)
    except (AttributeError, LookupError, TypeError) as error:
        raise DataError(f"{path} is damaged ({shown(error)}). {damaged}") from error


def _refuse_circular(predictions: Path, key: str, store: Store, *, allowed: bool) -> None:
    if not allowed and _reads(predictions, key, store):
        raise ConfigError(
            f"{predictions} reads {store.fingerprints()[key].get('extractor')!r} itself: its "
            f"predictions follow from these signals, so correlations would say how the model "
            f"computes and nothing of people. If that is what you want, add --circular."
        )


def _predicted(predictions: Path, corpus: Corpus, split: str) -> Scored:
    if predictions.is_dir():
        return scored_run(predictions, split=split)
    return scored_table(predictions, corpus, split=split)


def _held_against(
    measured: Measured, corpus: Corpus, scored: Scored | None
) -> tuple[tuple[Target, ...], Array]:
    """Targets and their values (clips, targets) for the measured clips."""
    if scored is None:
        return corpus.targets, corpus.with_clips(measured.clips).labels()
    # By id: some of the scored clips have no signals, so the rows of both do not match.
    places = {clip.id: place for place, clip in enumerate(scored.clips)}
    return scored.targets, scored.predicted[[places[clip.id] for clip in measured.clips]]


def _rows(
    measured: Measured,
    targets: Sequence[Target],
    values: Array,
    clusters: NDArray[np.intp],
) -> list[dict[str, Any]]:
    rows = []
    for statistic, name in enumerate(STATISTICS):
        for column, signal in enumerate(measured.columns):
            x = measured.values[:, statistic, column]
            correlated = {
                method: correlate(x, values, clusters, method=method) for method in METHODS
            }
            # One draw of clusters per signal and method serves all targets.
            ends = {
                method: estimate(one.sums, from_sums, resamples=_RESAMPLES)
                for method, one in correlated.items()
            }
            for place, target in enumerate(targets):
                row: dict[str, Any] = {"signal": signal, "name": readable(signal)}
                row |= {"statistic": name, "target": target.name}
                # Both methods leave out the same clips.
                row["n"] = int(correlated["pearson"].counts[place])
                for method in METHODS:
                    row[method] = {**ends[method].cell(place), "p": correlated[method].p[place]}
                rows.append(row)
    _correct(rows)
    return [dict(numbers(row)) for row in rows]


def _correct(rows: Sequence[dict[str, Any]]) -> None:
    """Benjamini and Hochberg's q over all rows and both methods."""
    from scipy.stats import false_discovery_control

    cells = [row[method] for row in rows for method in METHODS]
    # What could not be computed was not tested: it must not make the correction of others harsher.
    tested = [cell for cell in cells if np.isfinite(cell["p"])]
    corrected = false_discovery_control([c["p"] for c in tested]) if tested else []
    for cell in cells:
        cell["q"] = float("nan")
    for cell, q in zip(tested, corrected, strict=True):
        cell["q"] = float(q)


def _notes(result: Mapping[str, Any], measured: Measured) -> list[str]:
    holding = [
        f"{sum(_holds(row[m]) for row in result['rows'])} of {len(result['rows'])} hold for {m}"
        for m in METHODS
    ]
    notes = [
        f"{' and '.join(holding)} at a false discovery rate of {LEVEL:.0%} over all "
        f"{result['family']} tests; clips of one source or person count as one cluster "
        f"({result['clusters']} clusters of {result['clips']} clips).",
        f"Traits are {result['kind'].replace('_', '-')}; a correlation says nothing of causes.",
    ]
    if result["circular"]:
        notes.insert(0, "CIRCULAR: the model computes these predictions from these signals.")
    elif result["against"] != "labels":
        notes.append("What the system looks at is not known in full: it may see these signals.")
    proxies = sum("proxy" in text for text in measured.provenance.values())
    absent = [name for name, text in measured.provenance.items() if text == "not measured"]
    if proxies:
        notes.append(f"{proxies} signals are proxies from blendshapes, not coded action units.")
    if absent:
        notes.append(f"Not measured by this backend: {', '.join(absent)}.")
    return notes


def _holds(cell: Mapping[str, Any]) -> bool:
    return cell["q"] is not None and bool(cell["q"] <= LEVEL)
