"""The pictures of a synthetic clip: a person and its movements in, RGB frames out.

Each frame is warped twice. First the expression, in the frontal view: smile, brows, eyelids and
gaze are displacements, lips part along the line between them and the gap is painted. Then the
head, in 2.5 dimensions: a pixel of depth z moves by z sin(angle). Depth is an ellipsoid
with a nose.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from traitscope.corpora.synthetic._motion import Motion
from traitscope.corpora.synthetic._portrait import SIDE, Floats, Image, Person, bump, grid

_WINDOW = (44, 158, 68, 200)
"""Left, right, top, bottom of what the expression changes."""
_GAP = 3.0
"""Half the height of the row of teeth in the portrait."""
_JAW = 15.0
"""How far the jaw drops for a mouth wide open, in window pixels."""
_INSIDE = np.array([62, 22, 24], np.float32)
_EYE_HALF = 9.6
_DEPTH, _NOSE = 82.0, 24.0
"""Depth of head and nose, window pixels: set so that face trackers see about the planted angle."""
_GRAIN_TILES = 4
"""Pictures of noise per clip, each four times as large as a frame and shifted from frame to frame:
new noise for every frame would take longer than the frame."""


def render(
    person: Person,
    motion: Motion,
    *,
    exposure: float = 1.0,
    grain: float = 4.0,
    rng: np.random.Generator,
) -> Iterator[Image]:
    """Yield the frames of a clip, (size, size, 3) RGB each.

    Args:
        person: who.
        motion: what they do, one row per frame.
        exposure: gain of the whole picture.
        grain: standard deviation of the noise of the camera.
        rng: draws the grain.
    """
    face, head = _Face(person), _Head(person)
    size = len(person.image)
    noise = rng.normal(0, grain, (_GRAIN_TILES, 2 * size, 2 * size, 3)).astype(np.float32)
    for row in range(len(motion.smile)):
        front = face.express(motion, row)
        flat = head.turn(front, motion, row)
        top, left = rng.integers(size, size=2)
        tile = noise[row % _GRAIN_TILES, top : top + size, left : left + size]
        yield np.clip(flat * np.float32(exposure) + tile, 0, 255).astype(np.uint8)


class _Face:
    """The expression in the frontal view."""

    def __init__(self, person: Person) -> None:
        size = len(person.image)
        self.image, self.scale, self.places = person.image, size / SIDE, person.landmarks
        left, right, top, bottom = (round(edge * self.scale) for edge in _WINDOW)
        self.window = (slice(top, bottom), slice(left, right))
        x, y = grid(size)
        self.x, self.y = x[self.window], y[self.window]
        at = self.places
        x, y = self.x, self.y
        # She smiles in the portrait: the offsets undo that, by the share that is asked for.
        inwards = bump(x, y, _between(at["right_corner"], (3, 3)), 8, 8)
        outwards = bump(x, y, _between(at["left_corner"], (-3, 3)), 8, 8)
        cheeks = bump(x, y, _between(at["right_corner"], (-6, -10)), 10, 9)
        cheeks = cheeks + bump(x, y, _between(at["left_corner"], (6, -10)), 10, 9)
        self.smile_x = -5.0 * inwards + 5.0 * outwards
        self.smile_y = -6.5 * (inwards + outwards) - 1.5 * cheeks
        brows = [
            bump(x, y, _between(at[f"{s}_brow"], (0, -2.5)), 16, 5.5) for s in ("right", "left")
        ]
        # Flat over the chin and steep at the cheeks: a jaw drops as a whole. Shoulders stay.
        self.jaw = np.exp(-(((x - at["mouth"][0]) / 34) ** 4))
        self.above_neck = np.clip((200 - y) / 20, 0, 1)
        self.brow_y = 5.0 * (brows[0] + brows[1])

    def express(self, motion: Motion, row: int) -> Image:
        """Show one row of the movements, (size, size, 3)."""
        import cv2

        smile = float(motion.smile[row])
        across = (1 - smile) * self.smile_x
        down = (1 - smile) * self.smile_y + float(motion.brow[row]) * self.brow_y
        lips, paint = self._lips(smile, float(motion.mouth[row]) * _JAW)
        down = down + lips
        for eye in ("right_eye", "left_eye"):
            move_x, move_y = self._eye(eye, float(motion.lid[row]), float(motion.gaze[row]))
            across, down = across + move_x, down + move_y
        # Pixels are counted from their middles, so that a face lies at the same place in any size.
        map_x = (self.x + across + 0.5) * self.scale - 0.5
        map_y = (self.y + down + 0.5) * self.scale - 0.5
        patch = cv2.remap(
            self.image, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        paint = paint[..., None]
        picture = self.image.copy()
        picture[self.window] = (patch * (1 - paint) + _INSIDE * paint).astype(np.uint8)
        return picture

    def _lips(self, smile: float, drop: float) -> tuple[Floats, Floats]:
        """Offsets down and opacity of the dark inside of the mouth, (height, width) each."""
        mouth_x, mouth_y = self.places["mouth"]
        # upper lip    down by `closing`, over the teeth
        # --- line     where the lips meet
        # teeth        left as the portrait has them
        # --- teeth
        # dark         painted: what `drop` has opened, a lens
        # --- below=0
        # lower lip    up by `closing`, down by `drop`, with the jaw behind it
        closing = float(np.clip((1 - smile) / 0.7, 0, 1))
        half = 20.5 - 4.5 * (1 - smile)
        arch = np.clip(1 - ((self.x - mouth_x) / half) ** 2, 0, 1)
        lens = np.sqrt(arch)
        line = mouth_y - 6.0 * smile * (1 - arch)
        teeth = line + _GAP * (1 - closing) * arch
        below = self.y - (teeth + drop * lens)
        above = np.clip(1 - (line - self.y) / 11, 0, 1)
        far = np.clip((below - 3) / 16, 0, 1)
        lower = _GAP * closing * arch * np.clip(1 - below / 14, 0, 1)
        lower = lower - drop * self.above_neck * (lens + far * (self.jaw - lens))
        down = np.where(
            below > 0, lower, np.where(self.y < line, -_GAP * closing * arch * above, 0)
        )
        paint = np.clip((self.y - teeth) / 1.2, 0, 1) * np.clip(-below / 1.2 + 0.5, 0, 1)
        return down.astype(np.float32), (paint * (arch > 0)).astype(np.float32)

    def _eye(self, eye: str, lid: float, gaze: float) -> tuple[Floats, Floats]:
        """Offsets across and down of one eye, (height, width) each."""
        centre_x, centre_y = self.places[eye]
        # Her eyes are not level, and each lid closes along its own line.
        slope = 0.16 if eye == "right_eye" else -0.06
        along = (self.x - centre_x) / _EYE_HALF
        arch = np.clip(1 - along**2, 0, 1)
        axis = centre_y + slope * (self.x - centre_x)
        upper, lower = axis - 4.3 * arch, axis + 2.8 * arch
        # A little beyond the lower lid, or a slit of white stays when the eye is shut.
        edge = upper + lid * (lower + 1.0 - upper)
        crease = upper - 8
        # Skin between crease and edge is stretched over the eye; nothing else is moved.
        ratio = (upper + 0.8 - crease) / (edge + 0.8 - crease)
        pulled = (crease - self.y) * (1 - ratio)
        on_lid = (self.y > crease) & (self.y <= edge + 0.8) & (arch > 0)
        open_eye = (self.y > edge + 0.8) & (self.y < lower)
        across = np.where(open_eye, -3.6 * gaze * arch, 0)
        return across.astype(np.float32), np.where(on_lid, pulled, 0).astype(np.float32)


class _Head:
    """The head in 2.5 dimensions, before the wall."""

    def __init__(self, person: Person) -> None:
        size = len(person.image)
        self.size, self.half = size, size // 2
        self.matte, self.wall = person.matte, person.wall.astype(np.float32)
        x, y = self.x, self.y = grid(self.half)
        radius = ((x - 100) / 64) ** 2 + ((y - 112) / 88) ** 2
        # Shoulders do not turn: the neck fades from what follows the head into what stays.
        self.follows = np.clip((194 - y) / 28, 0, 1).astype(np.float32)
        depth = 8 + _DEPTH * np.clip(1 - radius, 0, 1)
        depth = depth + _NOSE * bump(x, y, person.landmarks["nose"], 7, 11)
        self.depth = (depth * self.follows).astype(np.float32)

    def turn(self, front: Image, motion: Motion, row: int) -> NDArray[np.float32]:
        """Turn the head and put it before the wall, (size, size, 3)."""
        import cv2

        # At half the size and enlarged: depth is smooth, and looked for in three rounds.
        x, y = self._origin(*(float(np.radians(a[row])) for a in _angles(motion)))
        scale = self.size / SIDE
        square = (self.size, self.size)
        map_x = cv2.resize((x + 0.5) * scale - 0.5, square, interpolation=cv2.INTER_LINEAR)
        map_y = cv2.resize((y + 0.5) * scale - 0.5, square, interpolation=cv2.INTER_LINEAR)
        head = cv2.remap(front, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        matte = cv2.remap(
            self.matte, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        opacity = (matte * np.float32(1 / 255))[..., None]
        return np.asarray(self.wall + (head - self.wall) * opacity, np.float32)

    def _origin(self, pitch: float, yaw: float, roll: float) -> tuple[Floats, Floats]:
        """Where each pixel of the turned picture comes from, window pixels."""
        import cv2

        # The head rolls about the top of the neck, (99, 170).
        angle = roll * self.follows
        away_x, away_y = self.x - 99, self.y - 170
        x = 99 + away_x * np.cos(angle) + away_y * np.sin(angle)
        y = 170 - away_x * np.sin(angle) + away_y * np.cos(angle)
        across, down = x, y
        # How far a pixel has moved depends on the depth of where it came from, which is looked for:
        # three rounds are enough for the angles of a talking head.
        for _ in range(3):
            scale = self.half / SIDE
            place_x = ((across + 0.5) * scale - 0.5).astype(np.float32)
            place_y = ((down + 0.5) * scale - 0.5).astype(np.float32)
            depth = cv2.remap(
                self.depth, place_x, place_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
            )
            across, down = x - depth * np.sin(yaw), y - depth * np.sin(pitch)
        return across.astype(np.float32), down.astype(np.float32)


def _angles(motion: Motion) -> tuple[NDArray[np.float64], ...]:
    return motion.pitch, motion.yaw, motion.roll


def _between(place: tuple[float, float], offset: tuple[float, float]) -> tuple[float, float]:
    return place[0] + offset[0], place[1] + offset[1]
