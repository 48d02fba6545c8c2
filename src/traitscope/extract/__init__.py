"""Tracks, frames, sound, text -> features; one file per extractor.

A file exports ``VERSION``, ``NEEDS`` (of frames, tracks, audio, text, table, stream:NAME; or
``needs(config)`` where settings decide), ``Config`` and ``Extractor``: one instance per clip,
``see(frame, faces)`` once per sampled frame in time order (of those that need frames or tracks),
then ``finish(inputs) -> Stream``.
"""

from traitscope.extract._clip import Extraction, extract_clip
from traitscope.extract._openface import table_of
from traitscope.extract._request import Request, make_request

__all__ = ["Extraction", "Request", "extract_clip", "make_request", "table_of"]
