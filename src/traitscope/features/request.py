"""Name and settings of an extractor -> a request with its fingerprint and key."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from types import ModuleType
from typing import Any

from traitscope import registry
from traitscope.config import Config, build
from traitscope.errors import ConfigError
from traitscope.extract import TABLE_VERSION
from traitscope.tracking import backend_version, resolve_backend

STREAM = "stream:"


@dataclass(frozen=True)
class Request:
    """One extractor with settled settings: what is computed, and how it is known in the store.

    Attributes:
        name: entry of the room, or a dotted path from outside.
        config: its settings; ``backend`` is never ``auto``.
        version: the VERSION of its file.
        needs: what it reads: frames, tracks, audio, text, table, stream:NAME.
        upstream: requests whose streams it reads.
        typed: what the user typed, without which an outside extractor is not imported.
    """

    name: str
    config: Config
    version: int
    needs: tuple[str, ...]
    upstream: tuple["Request", ...] = ()
    typed: registry.Typed = field(default=registry.NOTHING, compare=False, repr=False)

    @property
    def module(self) -> ModuleType:
        """The extractor's file."""
        if "." not in self.name:
            return _own(self.name)
        return registry.load("extract", self.name, typed=self.typed)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Everything that decides what comes out, as JSON values."""
        facts: dict[str, Any] = {
            "extractor": self.name,
            "version": self.version,
            "config": self.config.model_dump(mode="json"),
        }
        if "tracks" in self.needs:
            backend = self.backend
            facts["tracker"] = {"backend": backend, "version": backend_version(backend)}
        if "table" in self.needs:
            facts["tracker"] = {"backend": self.backend, "version": TABLE_VERSION}
        if self.upstream:
            facts["upstream"] = {request.short_name: request.key for request in self.upstream}
        return facts

    @property
    def all_needs(self) -> frozenset[str]:
        """What it and everything upstream of it read."""
        return frozenset(self.needs).union(*(request.all_needs for request in self.upstream))

    @cached_property  # it is asked for several times per clip, and looks the tracker's version up
    def key(self) -> str:
        """Name and a hash of the fingerprint: ``faces-1f3a9c20d4e7``."""
        # Sorted and without blanks: the same facts are the same text in every version of Python.
        text = json.dumps(self.fingerprint, sort_keys=True, separators=(",", ":"))
        return f"{self.short_name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"

    @property
    def short_name(self) -> str:
        """The name without the path of an outside module."""
        return self.name.rpartition(".")[2]

    @property
    def backend(self) -> str:
        """The tracking backend, of those that need tracks."""
        return str(getattr(self.config, "backend", "none"))


@cache
def _own(name: str) -> ModuleType:
    """An extractor of this package, whose folder is listed once and not for every clip."""
    return registry.load("extract", name)


def make_request(
    name: str,
    settings: Mapping[str, Any],
    *,
    typed: registry.Typed = registry.NOTHING,
    source: str = "",
) -> Request:
    """Settle an extractor's settings.

    Args:
        name: entry of the room, or a dotted path.
        settings: values that differ from the defaults.
        typed: what the user typed; no other dotted path is imported.
        source: the file that names the extractor, for the message.

    Raises:
        ConfigError: the extractor or a setting does not exist, or a value is out of bounds.
    """
    module = registry.load("extract", name, typed=typed, source=source)
    config: Config = build(module.Config, settings, where=f"settings of {name}")
    needs = module.needs(config) if hasattr(module, "needs") else module.NEEDS
    # Settled now, or the key would differ between machines with and without the model file.
    if "tracks" in needs:
        backend = resolve_backend(str(getattr(config, "backend", "auto")))
        config = config.model_copy(update={"backend": backend})
    below = [need.removeprefix(STREAM) for need in needs if need.startswith(STREAM)]
    upstream = {
        stream: make_request(stream, _settings_of(config, stream), typed=typed) for stream in below
    }
    # What is upstream settles its own backend, and this config has to say the same.
    settled = {
        s: r.config for s, r in upstream.items() if isinstance(getattr(config, s, 0), Config)
    }
    return Request(
        name=name,
        config=config.model_copy(update=settled),
        version=int(module.VERSION),
        needs=tuple(needs),
        upstream=tuple(upstream.values()),
        typed=typed,
    )


def of_speaker(requests: Mapping[str, Request], speaker: str) -> dict[str, Request]:
    """Ask for the words of one speaker, in all requests that read words.

    Raises:
        ConfigError: none does.
    """
    return _with_words(
        requests, {"speaker": speaker}, f"no speaker {speaker!r} to choose", "speaker"
    )


def of_recogniser(requests: Mapping[str, Request], recogniser: str) -> dict[str, Request]:
    """Have the words heard in the sound, in all requests that read words.

    Raises:
        ConfigError: none does.
    """
    heard = {"from": "asr", "recogniser": recogniser}
    return _with_words(requests, heard, "nothing to hear", "asr")


def _with_words(
    requests: Mapping[str, Request], changes: Mapping[str, Any], without: str, option: str
) -> dict[str, Request]:
    """Lay settings over those of all that read words."""
    reading = {k: r for k, r in requests.items() if "speaker" in type(r.config).model_fields}
    if not reading:
        raise ConfigError(
            f"No words are read ({', '.join(requests)}), so there is {without}. Leave --{option} "
            f"out."
        )
    changed = {
        key: make_request(r.name, {**r.config.model_dump(), **changes}, typed=r.typed)
        for key, r in reading.items()
    }
    return {**requests, **changed}


def _settings_of(config: Config, stream: str) -> Mapping[str, Any]:
    """Settings of an upstream extractor: the field of its name in the config, or the defaults."""
    inner = getattr(config, stream, {})
    return inner.model_dump() if isinstance(inner, Config) else inner
