"""Frames and sound into an mp4 whose bit rate says nothing about what is in it."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from traitscope.corpora.synthetic._voice import SAMPLE_RATE_HZ
from traitscope.files import replacing

_AUDIO_BITS = 64_000


def write(
    path: Path,
    frames: Iterable[NDArray[np.uint8]],
    samples: NDArray[np.float32],
    *,
    size: int,
    fps: int,
    kilobits: int,
) -> None:
    """Encode h264 and AAC, all or nothing.

    The video is padded to a constant bit rate (``nal-hrd=cbr``), which the caller draws: a lively
    face would otherwise show in the size of the file.

    Args:
        path: of the mp4.
        frames: (size, size, 3) RGB each.
        samples: (n,) mono sound.
        size: side of the frames in pixels.
        fps: frames per second.
        kilobits: of video per second.
    """
    import av

    with replacing(path) as draft, av.open(str(draft), "w", format="mp4") as container:
        rate = f"{kilobits}k"
        video = container.add_stream("libx264", rate=fps)
        video.width, video.height, video.pix_fmt = size, size, "yuv420p"
        video.bit_rate = kilobits * 1000
        # With more threads the encoder writes other bytes: the corpus would depend on the machine.
        video.thread_count = 1
        video.options = {
            "preset": "superfast",
            "x264-params": "nal-hrd=cbr:force-cfr=1:threads=1",
            "maxrate": rate,
            "minrate": rate,
            "bufsize": rate,
        }
        audio = container.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")
        audio.bit_rate = _AUDIO_BITS
        # The picture rate divides that of sound (see `Config.fps`): no remainder to carry over.
        step = SAMPLE_RATE_HZ // fps
        for number, image in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(video.encode(picture))
            # Sound goes between the pictures that it belongs to: players look for it nearby.
            piece = np.ascontiguousarray(samples[None, number * step : (number + 1) * step])
            # Lengths are rounded each by itself, so the last picture may have no sound left.
            if piece.size:
                sound = av.AudioFrame.from_ndarray(piece, format="fltp", layout="mono")
                sound.sample_rate = SAMPLE_RATE_HZ
                sound.pts, sound.time_base = number * step, Fraction(1, SAMPLE_RATE_HZ)
                container.mux(audio.encode(sound))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
