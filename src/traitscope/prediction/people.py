"""Streams of everybody in a recording -> streams of each person, with number, face and voice.

One decode serves all: extractors are asked for all faces (``select=all``) instead of one, and their
rows are dealt out by track afterwards. Numbers go by who is seen first, then from left to right, so
that the same recording gives the same people.

Who speaks is told by when lips move: a speaker's lips move more than the others' while something is
heard. No face is compared with any outside of the recording.
"""

from base64 import b64decode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from traitscope.config import Config
from traitscope.errors import ClipError, ConfigError
from traitscope.features.request import Request, make_request
from traitscope.media import read_sound
from traitscope.media.limits import Limits
from traitscope.types import Clip, Person, Stream

_SAMPLED = ("rule", "rate", "count", "seed", "backend")  # settings that decide what is looked at
_FEWEST_LOOKS = 3
_SHARE = 0.1  # of the looks of whom is seen most: who passes by is no person of the recording
_TOGETHER_SECONDS = 1.0  # people who come in within a second are numbered from left to right
_NEAR = 0.15  # of the picture, between the middles of one face as two passes see it

_SOUND_HZ = 8000  # speech has its power below 4 kHz
_LOUD = 0.25
"""Of the loudest tenth: what is above is heard, and what is below is breath and room."""
_SILENT = 1e-4  # root mean square in which nothing is heard, -80 dB
_AROUND_SECONDS = 0.1  # a syllable: the mouth leads or follows its sound by less
_SURE = 2.0  # standard errors of a correlation, and from one person to the next
_FEWEST_TO_CORRELATE = 10  # looks
_AHEAD = 1.5  # times the movement of the next person's lips: less is no clear speaker
_STILL, _MOVING = 0.006, 0.015
"""Movement of lips from look to look, in heights of the face: none, and that of speech."""
_LONGEST_STEP = 1.0  # seconds between two looks that say something of a movement


@dataclass(frozen=True)
class Everybody:
    """Requests of a run, for all people at once.

    Attributes:
        requests: stream -> request with ``select=all``.
        seen: stream -> the request of the people whom its tracker pass sees; those that look at
            faces alone.
    """

    requests: Mapping[str, Request]
    seen: Mapping[str, Request]

    @property
    def added(self) -> list[Request]:
        """What has to be extracted beside the run's own streams, once each."""
        return list({request.key: request for request in self.seen.values()}.values())


def everybody(requests: Mapping[str, Request]) -> Everybody:
    """Ask for all people in all requests that look at faces.

    Raises:
        ConfigError: none does, or one chooses a face in a way that cannot be changed.
    """
    roots = {name: _root(request) for name, request in requests.items()}
    if not any(roots.values()):
        raise ConfigError(
            f"This run looks at no faces (it reads {', '.join(requests)}), so it cannot tell "
            f"people apart. Leave --people out."
        )
    changed, seen = dict(requests), {}
    for name, root in roots.items():
        if root is None:
            continue
        changed[name] = _of_all(requests[name])
        settings = root.config.model_dump()
        kept = {key: settings[key] for key in _SAMPLED if settings.get(key) is not None}
        seen[name] = make_request("people", {**kept, "select": "all"})
    return Everybody(changed, seen)


@dataclass(frozen=True)
class Found:
    """One person of a recording, with the streams that are theirs."""

    person: Person
    streams: Mapping[str, Stream]


def deal_out(
    clip: Clip,
    streams: Mapping[str, Stream],
    looks: Mapping[str, Stream],
    *,
    limits: Limits,
) -> list[Found]:
    """Give each person their rows of every stream.

    Args:
        clip: for its sound.
        streams: of the run, by name, with the rows of all faces.
        looks: stream -> the people that its tracker pass saw; the first is whose people count.
        limits: of what is read of the sound.
    """
    first = next(iter(looks.values()))
    tracks = _numbered(first)
    speaking = _speaking(clip, first, tracks, limits)
    # Passes at other rates number their tracks by themselves.
    same = {name: _same(first, tracks, seen) for name, seen in looks.items()}
    found = []
    for number, track in enumerate(tracks, 1):
        theirs = {name: sorted({*known[track]}) for name, known in same.items()}
        own = {
            name: stream if name not in looks else _only(stream, looks[name], theirs[name])
            for name, stream in streams.items()
        }
        portrait = first.info["portraits"].get(str(track), "")
        share = round(float(np.sum(_of(first, track)) / len(np.unique(first.time))), 4)
        person = Person(number, b64decode(portrait), min(1.0, share), speaking.get(track))
        found.append(Found(person, own))
    return found


def voice_notes(person: Person, requests: Iterable[Request]) -> tuple[str, ...]:
    """What a reader must know of whose voice was heard, where the run listens."""
    listens = any("audio" in request.all_needs for request in requests)
    if person.speaks is False and listens:
        return ("speakers: this person's lips do not move with the sound, which is another's",)
    return ()


def _root(request: Request) -> Request | None:
    """The request that looks at faces, itself or upstream; None if nothing does."""
    if "tracks" in request.needs:
        return request
    return next(filter(None, map(_root, request.upstream)), None)


def _of_all(request: Request) -> Request:
    settings = _settings_of_all(request.config)
    if settings == request.config.model_dump():
        raise ConfigError(
            f"{request.short_name} looks at one face alone, and has no setting for all of them. "
            f"Leave --people out."
        )
    return make_request(request.name, settings, typed=request.typed)


def _settings_of_all(config: Config) -> dict[str, Any]:
    settings = config.model_dump()
    if "select" in settings:
        settings["select"] = "all"
    # An extractor that stands on another one holds its settings.
    for name in type(config).model_fields:
        if isinstance(inner := getattr(config, name), Config):
            settings[name] = _settings_of_all(inner)
    return settings


def _column(seen: Stream, name: str) -> NDArray[np.float64]:
    assert seen.values is not None
    return np.asarray(seen.values[:, seen.columns.index(name)], dtype=np.float64)


def _of(seen: Stream, track: int) -> NDArray[np.bool_]:
    """(rows,) True where a row is of a track."""
    return np.asarray(_column(seen, "track") == track)


def _middle(seen: Stream) -> NDArray[np.float64]:
    """(rows, 2) the middle of each face."""
    across = (_column(seen, "left") + _column(seen, "right")) / 2
    return np.stack([across, (_column(seen, "top") + _column(seen, "bottom")) / 2], axis=1)


def _numbered(seen: Stream) -> list[int]:
    """Tracks of the people of a recording, in the order of their numbers."""
    column = _column(seen, "track")
    tracks, counts = np.unique(column[seen.mask].astype(int), return_counts=True)
    needed = max(_FEWEST_LOOKS, _SHARE * counts.max())
    # In a clip of two looks nobody is seen three times, and somebody is there all the same.
    kept = tracks[counts >= min(needed, counts.max())]
    middle = _middle(seen)[:, 0]

    def place(track: int) -> tuple[int, float]:
        own = column == track
        return int(seen.time[own][0] / _TOGETHER_SECONDS), float(np.median(middle[own]))

    return sorted(kept.tolist(), key=place)


def _same(first: Stream, tracks: Sequence[int], other: Stream) -> dict[int, list[int]]:
    """Tracks of another pass over the same recording, by the track of their person in the first."""
    middles = _middle(first)
    same: dict[int, list[int]] = {track: [] for track in tracks}
    for candidate in np.unique(_column(other, "track")[other.mask]).astype(int).tolist():
        rows = _of(other, candidate)
        apart = {}
        for track in tracks:
            own = _of(first, track)
            nearest = _nearest(first.time[own], other.time[rows])
            distances = np.hypot(*(_middle(other)[rows] - middles[own][nearest]).T)
            apart[track] = float(np.median(distances))
        best = min(apart, key=lambda one: apart[one])
        # A person whom one pass lost and found has two tracks there.
        if apart[best] < _NEAR:
            same[best].append(candidate)
    return same


def _nearest(times: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.intp]:
    """Index of the time at or after each wanted one; the last where there is none."""
    return np.minimum(np.searchsorted(times, wanted), len(times) - 1)


def _only(stream: Stream, seen: Stream, tracks: Sequence[int]) -> Stream:
    """The rows of one person; a look without them is a row that is missing."""
    if len(stream.time) != len(seen.time) or not np.array_equal(stream.time, seen.time):
        return stream  # not of faces: it has the same rows whoever is asked for
    mine = np.isin(_column(seen, "track"), tracks)
    times, first = np.unique(seen.time, return_index=True)
    rows, valid = first.copy(), np.zeros(len(times), dtype=bool)
    places = np.searchsorted(times, seen.time[mine])
    rows[places], valid[places] = np.flatnonzero(mine), True
    valid &= stream.mask[rows]
    info = {k: v for k, v in stream.info.items() if k not in {"row_tracks", "notes"}}
    values, images = stream.values, stream.images
    if values is not None:
        values = np.array(values[rows])
        if values.dtype.kind == "f":
            values[~valid] = np.nan
    if images is not None:
        chosen = zip(rows.tolist(), valid.tolist(), strict=True)
        images = tuple(images[row] if there else b"" for row, there in chosen)
    return replace(stream, time=times, values=values, images=images, valid=valid, info=info)


def _speaking(
    clip: Clip, seen: Stream, tracks: Sequence[int], limits: Limits
) -> dict[int, bool | None]:
    """Whose lips go with the sound; nothing of people of whom that cannot be told.

    Two signs, of which either is enough: the mouth is open when it is loud (a correlation, in
    standard errors), or only one person's lips move at all while something is heard.
    """
    times = np.unique(seen.time)
    loudness = _loudness(clip, times, limits)
    if loudness is None:
        return {}
    heard = loudness > max(_LOUD * float(np.quantile(loudness, 0.9)), _SILENT)
    if not heard.any():
        return dict.fromkeys(tracks, False)
    mouths = {track: _mouth(seen, track, times) for track in tracks}
    known = {t: row for t, row in mouths.items() if np.isfinite(row[heard]).sum() >= _FEWEST_LOOKS}
    if not known:
        return {}
    fits = {track: _agreement(row, loudness) for track, row in known.items()}
    moves = {track: _movement(row, times, heard) for track, row in known.items()}
    if max(moves.values()) < _STILL:
        return dict.fromkeys(known, False)
    for signs, least, ahead in ((fits, _SURE, _SURE), (moves, _MOVING, 0.0)):
        best, *others = sorted(signs, key=lambda track: -signs[track])
        second = signs[others[0]] if others else 0.0
        clear = signs[best] > max(least, second + ahead)
        if clear and (signs is fits or signs[best] > _AHEAD * second):
            return {track: track == best for track in known}
    # Two who talk in turn look alike: of neither is anything said, unless their lips are still.
    return {track: False if moves[track] < _STILL else None for track in known}


def _mouth(seen: Stream, track: int, times: NDArray[np.float64]) -> NDArray[np.float64]:
    """(looks,) opening of the mouth of one person, NaN where they are not seen."""
    mine = _of(seen, track)
    mouth = np.full(len(times), np.nan)
    mouth[np.searchsorted(times, seen.time[mine])] = _column(seen, "mouth")[mine]
    return mouth


def _agreement(mouth: NDArray[np.float64], loudness: NDArray[np.float64]) -> float:
    """How surely the mouth is open when it is loud: a correlation in its standard errors."""
    both = np.isfinite(mouth)
    # Fisher's z of a few looks has no standard error worth the name.
    if both.sum() < _FEWEST_TO_CORRELATE or not np.ptp(mouth[both]) or not np.ptp(loudness[both]):
        return 0.0
    r = float(np.corrcoef(mouth[both], np.sqrt(loudness[both]))[0, 1])
    return float(np.arctanh(np.clip(r, -0.99, 0.99)) * np.sqrt(both.sum() - 3))


def _movement(
    mouth: NDArray[np.float64], times: NDArray[np.float64], heard: NDArray[np.bool_]
) -> float:
    """How far the mouth opened or closed from look to look while something was heard."""
    steps = np.diff(times, prepend=times[0])
    moved = np.abs(np.diff(mouth, prepend=np.nan))
    known = heard & (steps > 0) & (steps <= _LONGEST_STEP) & np.isfinite(moved)
    return float(moved[known].mean()) if known.any() else 0.0


def _loudness(clip: Clip, times: NDArray[np.float64], limits: Limits) -> NDArray[np.float64] | None:
    """(looks,) root mean square of the sound around each look; None without sound."""
    assert clip.path is not None
    try:
        sound = read_sound(
            clip.path,
            sample_rate_hz=_SOUND_HZ,
            start=clip.start,
            end=clip.end,
            track=clip.audio_track,
            limits=limits,
        ).waveform.samples
    except ClipError:
        return None
    middles = np.round(times * _SOUND_HZ).astype(int)
    reach = round(_AROUND_SECONDS * _SOUND_HZ)
    pieces = [sound[max(0, middle - reach) : middle + reach] for middle in middles.tolist()]
    return np.array([float(np.sqrt(np.mean(p**2))) if len(p) else 0.0 for p in pieces])
