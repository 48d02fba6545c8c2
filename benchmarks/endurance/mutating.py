"""Bytes and a random generator -> the same bytes with a few faults, by damage or by malice."""

from collections.abc import Callable, Sequence

from numpy.random import Generator

Change = Callable[[bytearray, int, Generator], None]

_TELLING = (
    *(b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00"),
    *(b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x01", b"\xff", b"\n", b'"', b"{", b"[", b"-1"),
    *(b"999999999999", b"1e400", b"nan", b"null", b"../", b"\xc3\x28", b"\x1b[", b"<", b","),
)


def mutate(data: bytes, rng: Generator, *, head: int | None = None) -> bytes:
    """Change bytes in one to four places.

    Args:
        data: what is changed.
        rng: makes all choices.
        head: changes lie within so many bytes from either end; anywhere if not said.
    """
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        place = int(rng.integers(0, max(1, len(changed))))
        if head is not None and len(changed) > 2 * head:
            near = int(rng.integers(0, head))
            place = near if rng.random() < 0.5 else len(changed) - 1 - near
        _choose(rng, _CHANGES)(changed, place, rng)
    return bytes(changed)


def _choose(rng: Generator, among: Sequence[Change]) -> Change:
    return among[int(rng.integers(0, len(among)))]


def _flip(data: bytearray, place: int, rng: Generator) -> None:
    if data:
        data[place] ^= 1 << int(rng.integers(0, 8))


def _random(data: bytearray, place: int, rng: Generator) -> None:
    length = int(rng.integers(1, 9))
    data[place : place + length] = rng.bytes(length)


def _telling(data: bytearray, place: int, rng: Generator) -> None:
    piece = _TELLING[int(rng.integers(0, len(_TELLING)))]
    data[place : place + (len(piece) if rng.random() < 0.7 else 0)] = piece


def _zeros(data: bytearray, place: int, rng: Generator) -> None:
    length = min(len(data) - place, int(rng.integers(1, 257)))
    data[place : place + length] = bytes(length)


def _cut(data: bytearray, place: int, rng: Generator) -> None:
    length = int(rng.integers(1, 65))
    del data[place : place + length]


def _end(data: bytearray, place: int, rng: Generator) -> None:
    del data[place:]


def _again(data: bytearray, place: int, rng: Generator) -> None:
    length = int(rng.integers(1, 129))
    data[place:place] = data[place : place + length] * int(rng.integers(1, 5))


def _elsewhere(data: bytearray, place: int, rng: Generator) -> None:
    start = int(rng.integers(0, max(1, len(data))))
    piece = data[start : start + int(rng.integers(1, 65))]
    data[place : place + len(piece)] = piece


_CHANGES = (_flip, _flip, _random, _telling, _telling, _zeros, _cut, _end, _again, _elsewhere)
