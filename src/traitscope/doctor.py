"""What works on this machine: each part is tried, not just looked for."""

import ctypes
import importlib.util
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass

import traitscope
from traitscope import weights
from traitscope.errors import TraitscopeError

EXTRAS = {
    "ray": "ray",
    "audio": "opensmile",
    "asr": "faster_whisper",
    "text": "transformers",
    "web": "fastapi",
    "explain": "captum",
    "hdf5": "h5py",
    "onnx": "onnxruntime",
}
"""Extra -> the package that tells whether it is installed."""

LIBRARIES = {
    "libEGL.so.1": ("libegl1", "MediaPipe"),
    "libGLESv2.so.2": ("libgles2", "MediaPipe"),
    "libGL.so.1": ("libgl1", "OpenCV"),
    "libglib-2.0.so.0": ("libglib2.0-0", "OpenCV"),
    "libgomp.so.1": ("libgomp1", "LightGBM"),
}
"""Shared library -> its Debian package, and who needs it."""


@dataclass(frozen=True)
class Finding:
    """One part: True if it works, False if it is broken, None if it is optional and not there."""

    name: str
    works: bool | None
    detail: str


def examine() -> list[Finding]:
    """Try every part that traitscope uses."""
    findings = [
        Finding(
            "traitscope", True, f"{traitscope.__version__}, Python {platform.python_version()}"
        ),
        Finding("cores", True, str(os.cpu_count())),
    ]
    # Wheels for other systems bring these along.
    if platform.system() == "Linux":
        findings += [_library(name) for name in LIBRARIES]
    findings += [_try("video decoding", _decode), _try("dlib faces", _dlib)]
    findings += [_mediapipe(), _try("PyTorch", _torch)]
    findings += [_extra(extra, package) for extra, package in EXTRAS.items()]
    return findings


def _library(name: str) -> Finding:
    package, user = LIBRARIES[name]
    try:
        # As the loader does: an installed package may lie where nobody looks for it.
        ctypes.CDLL(name)
    except OSError:
        cure = f"missing, needed by {user}: apt-get install {package}"
        return Finding(name, False, cure)
    return Finding(name, True, f"for {user}")


def _try(name: str, trial: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, trial())
    # A broken part is a line of the result, and the others are tried all the same.
    except (TraitscopeError, ImportError, OSError, RuntimeError) as error:
        return Finding(name, False, str(error))


def _decode() -> str:
    import av

    codecs = [name for name in ("h264", "hevc", "vp9", "av1", "aac") if name in av.codecs_available]
    return f"PyAV {av.__version__}: {', '.join(codecs)}"


def _dlib() -> str:
    from traitscope.tracking import open_tracker

    open_tracker("dlib").close()
    return "detector and 68 points, from the wheels"


def _mediapipe() -> Finding:
    name = "face_landmarker.task"
    # No fault: without it dlib finds the faces.
    if weights.locate(name) is None:
        detail = f"model file not here; dlib is used. Get it with: traitscope weights fetch {name}"
        return Finding("MediaPipe faces", None, detail)

    def trial() -> str:
        from traitscope.tracking import open_tracker

        open_tracker("mediapipe").close()
        return f"{weights.find(name)}"

    return _try("MediaPipe faces", trial)


def _torch() -> str:
    import torch

    if torch.cuda.is_available():
        return f"{torch.__version__}, {torch.cuda.get_device_name()}"
    return f"{torch.__version__}, CPU ({torch.get_num_threads()} threads), no GPU"


def _extra(extra: str, package: str) -> Finding:
    # Looked for and not imported, which takes many seconds for some.
    if importlib.util.find_spec(package):
        return Finding(f"[{extra}]", True, package)
    return Finding(f"[{extra}]", None, f"not installed: pip install 'traitscope[{extra}]'")
