"""Tracks, frames, sound, text -> features; one file per extractor.

A file exports ``VERSION``, ``NEEDS`` (of frames, tracks, audio, text, attributes, table,
stream:NAME; or ``needs(config)`` where settings decide), ``Config`` and ``Extractor``: one instance
per clip, ``see(frame, faces)`` once per sampled frame in time order (of those that need frames or
tracks), then ``finish(inputs) -> Stream``. What computes many clips faster together has
``finish_all(many inputs) -> streams or ClipErrors`` instead, for clips of one config, and says in
``together`` how many clips are worth it.
"""

from traitscope.extract._folders import POINT_FILES, read_images, read_points
from traitscope.extract._openface import VERSION as TABLE_VERSION
from traitscope.extract._openface import table_of
from traitscope.extract._sampling import moments

__all__ = ["POINT_FILES", "TABLE_VERSION", "moments", "read_images", "read_points", "table_of"]
