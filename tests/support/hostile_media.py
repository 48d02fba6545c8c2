"""Media that ask for more than their bytes hold, or for other files: made for attack tests."""

import ctypes
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

_IN_OPEN = 0x20  # of inotify(7)

CALLS = {
    "hls.m3u8": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{0}.ts\n#EXT-X-ENDLIST\n",
    "hls.mp4": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{0}.ts\n#EXT-X-ENDLIST\n",
    "m3u.mp3": b"#EXTM3U\n{0}.mp4\n",
    "concat.mp4": b"ffconcat version 1.0\nfile {0}.mp4\n",
    "concat.ffconcat": b"ffconcat version 1.0\nfile '{0}.mp4'\nduration 1\n",
    "pls.mp4": b"[playlist]\nFile1={0}.mp4\nNumberOfEntries=1\n",
    "ref.mov": b"[Reference]\nRef1=http://127.0.0.1/{0}.mp4\n",
    "asx.wmv": b"<ASX version='3.0'><Entry><Ref href='{0}.mp4'/></Entry></ASX>",
    "dash.mpd": b"<?xml version='1.0'?>\n<MPD type='static'><Period><AdaptationSet><Representation>"
    b"<BaseURL>{0}.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "smooth.mp4": b"<SmoothStreamingMedia><StreamIndex Url='{0}.mp4'/></SmoothStreamingMedia>",
    "address.sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    b"m=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "words.mp4": b"1\n00:00:00,000 --> 00:00:10,000\nhello\n\n",
    "words.ass": b"[Script Info]\n[Events]\nDialogue: 0,0:00:00.00,0:00:05.00,x,,0,0,0,,hi\n",
    "words.vtt": b"WEBVTT\n\n00:00.000 --> 00:05.000\nhello\n",
    "terminal.ans": b"\x1b[2J\x1b[1;31mhello\x1b[0m\r\n" * 50,
    "text.mp4": b"nothing to see here\n" * 50,
    "page.mp4": b"<!DOCTYPE html><html><video src='{0}.mp4'></video></html>",
    "drawing.mp4": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='{0}.mp4'/></svg>",
    "pointer.mp4": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "frame%03d.jpg": b"x",
    "metadata.mp4": b";FFMETADATA1\ntitle={0}.mp4\n",
    "gap.mlv": b"MLVI\x34\0\0\0v2.0\0\0\0\0" + bytes(64),
}
"""Name of a file -> what is in it; {0} is the stem of a neighbour that nobody may open."""


@contextmanager
def watched(folder: Path) -> Iterator[list[str]]:
    """Names of the files of a folder that anybody opened, whatever library did it; once it ends."""
    library = ctypes.CDLL(None, use_errno=True)
    watch = library.inotify_init1(os.O_NONBLOCK)
    assert library.inotify_add_watch(watch, os.fsencode(folder), _IN_OPEN) >= 0
    names: list[str] = []
    try:
        yield names
        try:
            data = os.read(watch, 2**20)
        except BlockingIOError:
            data = b""
        while data:
            (length,) = struct.unpack_from("I", data, 12)
            names.append(data[16 : 16 + length].rstrip(b"\0").decode())
            data = data[16 + length :]
    finally:
        os.close(watch)


def png_bomb(width: int, height: int) -> bytes:
    """A PNG that declares a size, with a few bytes of picture."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def jpeg_bomb(width: int, height: int) -> bytes:
    """A JPEG of 16 x 16 pixels whose header says otherwise."""
    data = bytearray(cv2.imencode(".jpg", np.zeros((16, 16, 3), np.uint8))[1].tobytes())
    place = data.index(b"\xff\xc0")
    data[place + 5 : place + 9] = struct.pack(">HH", height, width)
    return bytes(data)


def bmp_bomb(width: int, height: int) -> bytes:
    """The header of a BMP and little else."""
    header = struct.pack("<IiiHHIIiiII", 40, width, -height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 1054, 0, 0, 54) + header + bytes(1000)


def webp_bomb(width: int, height: int) -> bytes:
    """The header of a WebP and little else."""
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBPVP8X" + struct.pack("<I", 10) + bytes(4) + size + bytes(100)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def gif_bomb(width: int, height: int) -> bytes:
    """The header of a GIF and little else."""
    return b"GIF89a" + struct.pack("<HH", width, height) + bytes(100)


def write_packets(path: Path, codec: str, packets: list[tuple[float, bytes]]) -> Path:
    """Packets as they are, at times in seconds, in a track that declares 64 x 64 pixels."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "rgb24" if codec == "png" else "yuvj420p"
        container.start_encoding()
        for time, data in packets:
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = round(time * 1000)
            packet.is_keyframe = True
            container.mux(packet)
    return path


def write_pauses(path: Path, times: list[float]) -> Path:
    """A tenth of a second of sound at each time, in Matroska."""
    with av.open(str(path), "w", format="matroska") as container:
        stream = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        samples = (8000 * np.sin(np.arange(1600) / 5)).astype(np.int16)
        for time in times:
            frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts = 16000, round(time * 16000)
            frame.time_base = Fraction(1, 16000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path
