"""The networks inside ``face_landmarker.task``, run one by one: pictures in, arrays out.

The file is a zip of a face detector (BlazeFace), a network of 478 points, one of 52 blendshapes,
and the face that points are fitted to. MediaPipe runs them as a graph; here LiteRT runs each where
it is needed, which leaves out some 5 of 13 ms a picture that the graph takes around them.
"""

import io
import struct
import zipfile
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

DETECTOR_SIDE = 128
MESH_SIDE = 256
"""Pixels of a side that the detector and the network of points take."""

POINTS = 478

_DETECTOR = "face_detector.tflite"
_MESH = "face_landmarks_detector.tflite"
_SHAPES = "face_blendshapes.tflite"
_GEOMETRY = "geometry_pipeline_metadata_landmarks.binarypb"

# fmt: off
SHAPE_NAMES = (
    "_neutral", "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft",
    "browOuterUpRight", "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft",
    "eyeBlinkRight", "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight",
    "eyeLookOutLeft", "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft",
    "eyeSquintRight", "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen",
    "jawRight", "mouthClose", "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft",
    "mouthFrownRight", "mouthFunnel", "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight",
    "mouthPressLeft", "mouthPressRight", "mouthPucker", "mouthRight", "mouthRollLower",
    "mouthRollUpper", "mouthShrugLower", "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight",
    "mouthStretchLeft", "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight",
    "noseSneerLeft", "noseSneerRight",
)
"""What the numbers of the blendshape network are called, in its order."""

_SHAPED_BY = np.array([
    0, 1, 4, 5, 6, 7, 8, 10, 13, 14, 17, 21, 33, 37, 39, 40, 46, 52, 53, 54, 55, 58, 61, 63, 65, 66,
    67, 70, 78, 80, 81, 82, 84, 87, 88, 91, 93, 95, 103, 105, 107, 109, 127, 132, 133, 136, 144,
    145, 146, 148, 149, 150, 152, 153, 154, 155, 157, 158, 159, 160, 161, 162, 163, 168, 172, 173,
    176, 178, 181, 185, 191, 195, 197, 234, 246, 249, 251, 263, 267, 269, 270, 276, 282, 283, 284,
    285, 288, 291, 293, 295, 296, 297, 300, 308, 310, 311, 312, 314, 317, 318, 321, 323, 324, 332,
    334, 336, 338, 356, 361, 362, 365, 373, 374, 375, 377, 378, 379, 380, 381, 382, 384, 385, 386,
    387, 388, 389, 390, 397, 398, 400, 402, 405, 409, 415, 454, 466, 468, 469, 470, 471, 472, 473,
    474, 475, 476, 477,
])
# fmt: on
"""The 146 points that the blendshape network takes, as its model card lists them."""

_SAME = 0.3
"""Boxes of the detector that share more of their union are one face, seen from two anchors."""


class Seen(NamedTuple):
    """A face that the detector found, in pixels of the square it was shown.

    Attributes:
        box: left, top, right, bottom.
        score: 0 to 1.
        points: (6, 2) eyes left and right in the picture, nose, mouth, ears.
    """

    box: tuple[float, float, float, float]
    score: float
    points: NDArray[np.float64]


class Geometry(NamedTuple):
    """The face that points are fitted to: points (468, 3) in cm, weights (468,) mostly zero."""

    points: NDArray[np.float64]
    weights: NDArray[np.float64]


def available() -> bool:
    """Whether the interpreter of the networks is installed."""
    return find_spec("ai_edge_litert") is not None


class Networks:
    """The networks of one model file; loading takes a tenth of a second."""

    def __init__(self, model: bytes) -> None:
        with zipfile.ZipFile(io.BytesIO(model)) as task:
            self._detector = _Network(task.read(_DETECTOR))
            self._mesh = _Network(task.read(_MESH))
            self._shapes = _Network(task.read(_SHAPES))
            self.geometry = _geometry(task.read(_GEOMETRY))

    def detect(self, square: NDArray[np.uint8], *, confidence: float) -> list[Seen]:
        """Find faces in a square (128, 128, 3) RGB, surest first."""
        # it was taught on colours from -1 to 1
        regressors, scores = self._detector.run(
            square, ("regressors", "classificators"), scale=2 / 255, shift=-1
        )
        rows, logits = regressors.reshape(-1, 16), scores.ravel()
        # Comparing logits spares 896 exponentials for the few that are kept.
        likely = np.flatnonzero(logits >= np.log(confidence / (1 - confidence)))
        if not len(likely):
            return []
        places = rows[likely].reshape(len(likely), 8, 2).astype(np.float64)
        # the centre and the six points lie relative to the anchor, width and height do not
        anchors = _anchors()[likely][:, None] * DETECTOR_SIDE
        places[:, 0] += anchors[:, 0]
        places[:, 2:] += anchors
        return _merged(places, 1 / (1 + np.exp(-logits[likely].astype(np.float64))))

    def mesh(self, square: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float]:
        """Fit the 478 points to a face that fills a square (256, 256, 3) RGB.

        Returns:
            (478, 3) in pixels of the square, z in the scale of x, and how surely there is a face,
            0 to 1.
        """
        points, presence = self._mesh.run(square, ("Identity", "Identity_1"), scale=1 / 255)
        # The second output tells whether there is a face, as a logit; the third, about the
        # tongue, is of no use here.
        return points.reshape(POINTS, 3), float(1 / (1 + np.exp(-presence.ravel()[0])))

    def shapes(self, points: NDArray[np.floating[Any]]) -> dict[str, float]:
        """Read the 52 blendshapes off the points (478, 2 or more) of a face."""
        (values,) = self._shapes.run(points[_SHAPED_BY, :2], ())
        return dict(zip(SHAPE_NAMES, values.ravel().tolist(), strict=True))


class _Network:
    """One TFLite network on one thread: several processes share the machine."""

    def __init__(self, model: bytes) -> None:
        from ai_edge_litert.interpreter import Interpreter

        # Workers are processes; threads within them would only wait for each other.
        self._run: Any = Interpreter(model_content=model, num_threads=1)
        self._run.allocate_tensors()
        self._input = self._run.get_input_details()[0]["index"]
        details = self._run.get_output_details()
        self._outputs = {one["name"]: one["index"] for one in details}

    def run(
        self, values: NDArray[Any], names: tuple[str, ...], *, scale: float = 1, shift: float = 0
    ) -> list[NDArray[np.float32]]:
        """Compute the outputs of these names, or all, from ``scale * values + shift``."""
        self._give(values, scale, shift)
        self._run.invoke()
        return [self._run.get_tensor(self._outputs[name]) for name in names or self._outputs]

    def _give(self, values: NDArray[Any], scale: float, shift: float) -> None:
        """Write numbers where the network reads them; nobody may hold that place when it runs."""
        slot = self._run.tensor(self._input)().reshape(values.shape)
        np.multiply(values, np.float32(scale), out=slot)
        if shift:
            slot += np.float32(shift)


@cache
def _anchors() -> NDArray[np.float64]:
    """(896, 2) where the detector's numbers start from, as shares of the square.

    Two for each cell of a grid of 16 x 16, then six for each of 8 x 8, as its model card says.
    """
    grids = []
    for cells, count in ((16, 2), (8, 6)):
        middle = (np.arange(cells) + 0.5) / cells
        y, x = np.meshgrid(middle, middle, indexing="ij")
        grids.append(np.repeat(np.column_stack([x.ravel(), y.ravel()]), count, axis=0))
    return np.concatenate(grids)


def _merged(places: NDArray[np.float64], scores: NDArray[np.float64]) -> list[Seen]:
    """Average what several anchors say of one face, by their scores, as BlazeFace's authors do.

    Args:
        places: (anchors, 8, 2) centre, size and six points.
        scores: (anchors,) 0 to 1.
    """
    # The mean of all anchors that see a face trembles less than the best of them.
    low, high = places[:, 0] - places[:, 1] / 2, places[:, 0] + places[:, 1] / 2
    areas = np.prod(np.maximum(high - low, 0), axis=1)
    left, faces = np.argsort(-scores, kind="stable"), []
    while len(left):
        best = left[0]
        shared = np.minimum(high[left], high[best]) - np.maximum(low[left], low[best])
        common = np.prod(np.maximum(shared, 0), axis=1)
        same = common > _SAME * np.maximum(areas[left] + areas[best] - common, 1e-9)
        same[0] = True
        group = left[same]
        mean = np.average(places[group], axis=0, weights=scores[group])
        (x0, y0), (x1, y1) = mean[0] - mean[1] / 2, mean[0] + mean[1] / 2
        box = float(x0), float(y0), float(x1), float(y1)
        faces.append(Seen(box, float(scores[best]), mean[2:]))
        left = left[~same]
    return faces


def _geometry(data: bytes) -> Geometry:
    """Read the face that points are fitted to: a mesh of x, y, z, u, v, then weighted points."""
    mesh, basis = b"", []
    for number, value in _fields(data):
        if number == 1:
            mesh = value
        elif number == 2:
            basis.append(dict(_fields(value)))
    # The mesh is kept as single floats, five for each point; only the first three place it.
    numbers = [struct.unpack("<f", value)[0] for n, value in _fields(mesh) if n == 3]
    points = np.array(numbers).reshape(-1, 5)[:, :3]
    weights = np.zeros(len(points))
    for one in basis:
        weights[one.get(1, 0)] = struct.unpack("<f", one[2])[0]
    return Geometry(points, weights)


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """Numbers and values of the fields of a protocol buffer: integers, or bytes."""
    place = 0

    def varint() -> int:
        nonlocal place
        value = shift = 0
        while True:
            byte = data[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(data):
        key = varint()
        # Of the wire types this file has integers (0), bytes (2) and 32-bit numbers (5).
        if key & 7 == 0:
            yield key >> 3, varint()
            continue
        length = varint() if key & 7 == 2 else 4
        yield key >> 3, data[place : place + length]
        place += length
