"""A plan and a store -> the plan with the stored features it takes, or the command that makes them.

A setting may leave open what only the store can tell: which tracking backend was at work, which
content an imported table has. Here it is settled, so that a run says it for good.
"""

import json
import logging
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from traitscope.config import parse_overrides
from traitscope.errors import DataError
from traitscope.features.request import Request, make_request
from traitscope.features.store import Store
from traitscope.runs.plan import IMPORTED, Plan, no_extractor
from traitscope.runs.settings import RunConfig

log = logging.getLogger(__name__)


def stored_plan(config: RunConfig, run_plan: Plan, store: Store) -> Plan:
    """Settle which stored features each stream of a plan is taken from.

    A stream whose backend nobody named is taken from the store when just one backend is there, so
    that features prepared on another machine are found.

    Raises:
        DataError: a stream is not in the store; the message is the command that makes it.
    """
    keys = store.fingerprints()
    chosen, absent = {}, []
    for stream, request in run_plan.requests.items():
        # Exactly what was asked for, made with exactly these settings.
        stored = request if request.key in keys else None
        given = {**run_plan.draws[stream].extract, **config.features.get(stream, {})}
        if request.name == IMPORTED:
            stored = stored or _imported(stream, request, store)
        elif stored is None and given.get("backend", "auto") == "auto":
            # What was computed comes before what was imported: it is what the model asked for.
            stored = _other_backend(stream, request, store) or _in_place_of(stream, store)
        if stored is None:
            absent.append(request)
        else:
            chosen[stream] = stored
    if absent:
        raise DataError(
            f"{store.folder} has no {' and no '.join(r.key for r in absent)}. "
            f"Make it with:\n  {prepare_command(config, absent)}"
        )
    _check_groups(run_plan, chosen)
    return run_plan.with_requests(chosen)


def prepare_command(config: RunConfig, requests: Sequence[Request]) -> str:
    """Write the command that makes the features of some requests."""
    settings = []
    for request in requests:
        fields = type(request.config).model_fields
        for key, value in request.config.model_dump(mode="json").items():
            if value != fields[key].default or key == "backend":
                settings.append(f"{request.name}.{key}={_as_typed(value)}")
    names = ",".join(request.name for request in requests)
    parts = ["traitscope", "prepare", config.data.corpus, "--store", config.data.store]
    return shlex.join([*parts, "--extract", names, *settings])


def _as_typed(value: Any) -> str:
    """A value as a person types it behind ``key=``: read again, it is the same."""
    if isinstance(value, str) and parse_overrides([f"key={value}"]) == {"key": value}:
        return value
    return json.dumps(value)


def _other_backend(stream: str, request: Request, store: Store) -> Request | None:
    """Find the same features made with another backend, where there is no doubt which."""
    settings = request.config.model_dump(mode="json")
    if settings.pop("backend", None) is None:
        return None
    version = request.fingerprint["version"]
    keys = store.matching(request.name, settings, version=version)
    candidates = []
    for key in keys:
        backend = store.fingerprints()[key]["config"]["backend"]
        changed = {**settings, "backend": backend}
        other = make_request(request.name, changed, typed=request.typed)
        if other.key == key:  # else another version of that backend made them
            candidates.append(other)
    # Two backends in one store: to take either would be a coin toss between two runs.
    if len(candidates) != 1:
        return None
    log.info("%s: using the features made with %s", stream, candidates[0].backend)
    return candidates[0]


def _in_place_of(stream: str, store: Store) -> Request | None:
    """Find pictures or points that were imported in place of an extractor's, if there are any."""
    if not store.matching(IMPORTED, {"name": stream}, version=make_request(IMPORTED, {}).version):
        return None
    log.info("%s: using what was imported", stream)
    return _imported(stream, make_request(IMPORTED, {"name": stream}), store)


def _check_groups(run_plan: Plan, chosen: Mapping[str, Request]) -> None:
    """Refuse points that are not of the pictures they are drawn with.

    Raises:
        DataError: some streams of a group were imported, and others not, or with others.
    """
    origins: dict[str, dict[str, str]] = {}
    for stream, draw in run_plan.draws.items():
        if draw.group:
            content = getattr(chosen[stream].config, "content", "")
            origins.setdefault(draw.group, {})[stream] = content
    for contents in origins.values():
        # Points of another detector than the pictures lie beside the faces.
        if len(set(contents.values())) > 1:
            have = ", ".join(f"{s}: {c or 'extracted'}" for s, c in contents.items())
            raise DataError(
                f"{' and '.join(contents)} do not belong together ({have}). Import them with one "
                f"command and take both by features.STREAM.content=..., or prepare both."
            )


def _imported(stream: str, request: Request, store: Store) -> Request:
    """Find the imported features of a name, whatever is in it unless the user said what."""
    wanted = {key: value for key, value in request.config.model_dump(mode="json").items() if value}
    stored = store.fingerprints()
    keys = store.matching(IMPORTED, wanted, version=request.version)
    contents = [stored[key]["config"] for key in keys]
    # One table of that name: there is nothing to choose.
    if len(contents) == 1:
        return make_request(IMPORTED, contents[0])
    name = wanted["name"]
    if not contents:
        raise DataError(
            f"{store.folder} has no table {name!r}. {no_extractor(stream)} Bring it in with:\n"
            f"  traitscope features import {store.folder} TABLE.csv --name {name} --corpus CORPUS"
        )
    known = ", ".join(content["content"] for content in contents)
    raise DataError(
        f"{store.folder} has {len(contents)} tables {name!r} of different content. Say which: "
        f"features.{stream}.content=... with one of {known}; or delete the folder of the other."
    )
