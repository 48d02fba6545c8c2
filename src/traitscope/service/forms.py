"""Forms as browsers and curl send them (multipart), read as they come: one file, and short fields.

The frameworks' own readers take a file of any size before anybody can count it.
"""

from email.message import Message
from typing import Any, Protocol

from traitscope.extras import require
from traitscope.service.refusals import RefusedError

_MOST_FIELDS = 20
_MOST_BYTES = 2**20
"""Of all fields together."""
_HEADER_BYTES = 4096
"""Of a header of a part: taking it apart must stay quick."""
FILE = "file"
"""Name of the field that holds the recording."""


class Sink(Protocol):
    """Where the file of a form goes."""

    def begin(self, name: str) -> None:
        """The file begins; ``name`` is what its sender calls it."""

    def write(self, piece: bytes) -> None:
        """A piece of it."""


class FormReader:
    """Reads one form, piece by piece.

    Raises:
        RefusedError: in any of its methods, the form is no form, or has too much beside the file.
    """

    def __init__(self, kind: str, sink: Sink) -> None:
        parsers: Any = require("python_multipart.multipart", extra="web", why="traitscope serve")
        boundary = _parameter(kind, "content-type", "boundary").encode("latin-1", "replace")
        if not boundary:
            raise _refused("The form has no boundary.")
        self._sink = sink
        self._fields: dict[str, list[str]] = {}
        self._part: tuple[str, bool] = ("", False)  # name of the field, whether it is the file
        self._head: tuple[bytearray, bytearray] = (bytearray(), bytearray())
        self._disposition = ""
        self._value = bytearray()
        self._small = 0
        self._ended = False
        self._error = parsers.MultipartParseError
        self._parser = parsers.MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part,
                "on_header_field": self._on_header_name,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers,
                "on_part_data": self._on_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
        )

    def feed(self, piece: bytes) -> None:
        """Read a piece."""
        try:
            self._parser.write(piece)
        except self._error:
            raise _refused("The form cannot be read.") from None

    def finish(self) -> dict[str, list[str]]:
        """The fields beside the file, once all has come."""
        if not self._ended:
            raise _refused("The form ends in the middle.")
        return self._fields

    def _on_part(self) -> None:
        self._disposition, self._value = "", bytearray()

    def _on_header_name(self, data: bytes, start: int, end: int) -> None:
        self._on_header(0, data[start:end])

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._on_header(1, data[start:end])

    def _on_header(self, place: int, piece: bytes) -> None:
        self._count(len(piece))
        self._head[place].extend(piece)
        if len(self._head[place]) > _HEADER_BYTES:
            raise _refused("A header of a part is too long.")

    def _on_header_end(self) -> None:
        name, value = (bytes(part) for part in self._head)
        self._head = (bytearray(), bytearray())
        if name.lower() == b"content-disposition":
            self._disposition = value.decode("utf-8", "replace")

    def _on_headers(self) -> None:
        field = _parameter(self._disposition, "content-disposition", "name")
        if not field:
            raise _refused("A part of the form has no name.")
        is_file = field == FILE
        self._part = (field, is_file)
        if is_file:
            self._sink.begin(_parameter(self._disposition, "content-disposition", "filename"))
        elif sum(map(len, self._fields.values())) >= _MOST_FIELDS:
            raise _refused(f"A form may have {_MOST_FIELDS} fields.")

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._part[1]:
            self._sink.write(data[start:end])
        else:
            self._count(end - start)
            self._value.extend(data[start:end])

    def _on_part_end(self) -> None:
        name, is_file = self._part
        if not is_file:
            self._fields.setdefault(name, []).append(self._value.decode("utf-8", "replace"))

    def _on_end(self) -> None:
        self._ended = True

    def _count(self, size: int) -> None:
        self._small += size
        if self._small > _MOST_BYTES:
            raise _refused("The fields beside the recording are too long.", status=413)


def _parameter(value: str, header: str, name: str) -> str:
    """A parameter of a header, such as the boundary of a content type."""
    message = Message()
    # One line of a bounded length, whoever wrote it: the type of the whole body comes here, too.
    message[header] = " ".join(value[:_HEADER_BYTES].split())
    found = message.get_param(name, "", header=header)
    # RFC 2231 gives (charset, language, text).
    return found[2] if isinstance(found, tuple) else str(found or "")


def _refused(reason: str, status: int = 400) -> RefusedError:
    code = "too_large" if status == 413 else "no_form"
    return RefusedError(
        status,
        code,
        f"{reason} Send it as multipart/form-data, such as with curl -F {FILE}=@clip.mp4.",
    )
