"""A path -> an open container: the one place where media files are opened.

FFmpeg reads some three hundred formats, among them lists of other files, addresses of streams,
scripts and text drawn as a terminal does. Opened are those that hold a recording themselves, and
nothing beside the file; what a file says of other files is not followed.
"""

import re
from pathlib import Path
from typing import Any

import av
import av.logging

from traitscope.errors import ClipError
from traitscope.media.limits import DEFAULTS, Limits, check_pixels

_VIDEO = (
    *("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "avi", "mpeg", "mpegts"),
    *("mpegvideo", "h264", "hevc", "vvc", "m4v", "h263", "av1", "obu", "ivf", "flv", "live_flv"),
    *("asf", "asf_o", "wtv", "dv", "mxf", "gxf", "nut", "ogg", "rm", "nuv", "dhav", "amv"),
    *("mjpeg", "mjpeg_2000", "smjpeg", "yuv4mpegpipe", "gif", "apng"),
)
_SOUND = (
    *("wav", "w64", "flac", "mp3", "aac", "ac3", "eac3", "dts", "truehd", "caf", "aiff", "au"),
    *("amr", "amrnb", "amrwb", "ape", "wv", "tta", "tak", "mpc", "mpc8", "voc", "dsf", "loas"),
    *("sox", "nistsphere", "ircam", "paf", "avr", "qcp", "oma", "xwma", "iff"),
)
_PICTURES = (
    *("png_pipe", "jpeg_pipe", "webp_pipe", "bmp_pipe", "tiff_pipe", "gif_pipe", "ico"),
    *("ppm_pipe", "pgm_pipe", "pbm_pipe", "pam_pipe", "j2k_pipe", "jpegxl_pipe", "webp"),
)
"""One picture is no recording, but is told as what it is."""

FORMATS = (*_VIDEO, *_SOUND, *_PICTURES)
"""FFmpeg's names of the formats that are opened."""

_OPEN_SECONDS = _READ_SECONDS = 60.0
"""Until the facts of a file are known, and until its next packet is there."""

_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": ",".join(FORMATS),
    "probesize": "5000000",
    "analyzeduration": "5000000",
    "max_probe_packets": "2500",
    "max_streams": "256",
    "enable_drefs": "0",  # tracks of a QuickTime file that lie in other files
    "use_absolute_path": "0",
}

_LOOKED_AT_BYTES = 4096

_OTHERS: tuple[tuple[re.Pattern[bytes], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE | re.DOTALL), what)
    for pattern, what in (
        (rb"#EXTM3U", "a playlist (HLS or M3U)"),
        (rb"ffconcat version", "a list of files (ffconcat)"),
        (rb"\[playlist\]|\[reference\]|<asx", "a playlist"),
        (rb".{0,1000}<MPD\b", "a playlist (DASH)"),
        (rb".{0,1000}<SmoothStreamingMedia", "a playlist (Smooth Streaming)"),
        (rb"v=0\s", "the address of a stream (SDP)"),
        (rb"version https://git-lfs", "a Git LFS pointer (git lfs pull gets the file)"),
        (rb"<!doctype|<html|<\?xml|<svg|<tt\b|<smil", "a web page or XML"),
        (rb"WEBVTT|\d+\s+\d+:\d\d:\d\d[,.]|\[Script Info\]", "a file of subtitles"),
        (rb"PK\x03\x04", "a zip archive"),
        (rb"%PDF", "a PDF"),
    )
)

_BLOCKS = 2**16

_TOO_LARGE = re.compile(r"Picture size (\d+)x(\d+) exceeds")


def open_container(path: Path, limits: Limits = DEFAULTS) -> Any:
    """Open a media file for reading.

    Raises:
        ClipError: it is missing, empty, or not a media file.
    """
    try:
        size = path.stat().st_size
        if size:
            return _open(path, limits)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ClipError(
            f"There is no file {path}. Check the folder of the media.", status="missing"
        ) from error
    except PermissionError as error:
        raise unreadable(error, path) from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise _refusal(path, error) from error
    raise ClipError(f"{path} has 0 bytes. Copy or download it again.", status="empty")


def unreadable(error: PermissionError, path: Path | None) -> ClipError:
    """Make the failure of a clip that this user may not read."""
    return ClipError(
        f"{path} cannot be read: {error.strerror}. Give this user the right to.",
        status="unreadable",
    )


def check_size(path: Path, limits: Limits) -> None:
    """Look for the reason why no picture came out: FFmpeg says it in its log and nowhere else.

    Raises:
        ClipError: its pictures are larger than the limit.
    """
    level, without_repeats = av.logging.get_level(), av.logging.get_skip_repeated()
    av.logging.set_level(av.logging.ERROR)
    av.logging.set_skip_repeated(False)  # what another file said last may be held back
    try:
        with av.logging.Capture(local=True) as lines:
            _try_pictures(path, limits)
    finally:
        av.logging.set_level(level)
        av.logging.set_skip_repeated(without_repeats)
    sides = next((size for _, _, line in lines if (size := _TOO_LARGE.match(line))), None)
    if sides:
        check_pixels(path, int(sides[1]), int(sides[2]), limits)


def _try_pictures(path: Path, limits: Limits) -> None:
    try:
        with _open(path, limits) as container:
            for stream in container.streams.video:
                if stream.codec_context is None:  # a codec that no decoder reads
                    continue
                stream.codec_context.thread_count = 1  # what other threads say is not heard
                next(container.decode(stream), None)
    except (av.error.FFmpegError, OSError, ValueError):
        return


def _open(path: Path, limits: Limits) -> Any:
    # decoders count whole blocks at the edges; who looks at the picture counts exactly
    most = {"max_pixels": str(limits.pixels * 5 // 4 + _BLOCKS)}
    # "file:" keeps names such as "a:b.mp4" from being read as addresses
    container = av.open(
        f"file:{path}",
        options={**_OPTIONS, **most},
        metadata_errors="replace",
        timeout=(_OPEN_SECONDS, _READ_SECONDS),
    )
    # Decoders do not take the option over from their container.
    for stream in container.streams.video:
        if stream.codec_context is not None:
            stream.codec_context.options = most
    return container


def _refusal(path: Path, error: Exception) -> ClipError:
    """Say what a file is that cannot be opened, where its bytes tell."""
    other = other_than_media(path) or ("text" if _is_text(_start_of(path)) else "")
    if other:
        return ClipError(
            f"{path} cannot be opened as media: it is {other}. Give the recording itself.",
            status="undecodable",
        )
    reason = getattr(error, "strerror", None) or str(error)
    if isinstance(error, av.error.ExitError):
        reason = f"nothing was found within {_OPEN_SECONDS:.0f} s"
    if isinstance(error, av.error.ArgumentError):
        reason = "its format is none of those that are opened"
    return ClipError(
        f"{path} cannot be opened as media ({reason}). Re-encode it or leave it out.",
        status="undecodable",
    )


def other_than_media(path: Path) -> str:
    """What a file plainly is, told by its first bytes without a decoder.

    A playlist, an archive, a page ... in words for a message; empty if it may be media.
    """
    # A mark of UTF-8 and empty lines may stand before anything.
    plain = _start_of(path).removeprefix(b"\xef\xbb\xbf").lstrip()
    return next((what for pattern, what in _OTHERS if pattern.match(plain)), "")


def _start_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LOOKED_AT_BYTES)
    except OSError:
        return b""


def _is_text(start: bytes) -> bool:
    return bool(start) and all(byte >= 32 or byte in b"\t\n\r\f\x1b" for byte in start)
