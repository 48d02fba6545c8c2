"""How much is read off a face."""

from typing import Literal

Detail = Literal["mesh", "eyes"]
"""All that the backend has (points, blendshapes, pose), or what a chip of the face is cut by."""

DETAILS: tuple[Detail, ...] = ("eyes", "mesh")
"""Each has what those before it have."""
