"""What is tried: containers, codecs, rates, light, fields, shapes, turns, delays and layouts."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

SECONDS = 2
PICTURES = f"testsrc2=size=160x120:rate=25:duration={SECONDS}"
TONE = f"sine=frequency=440:duration={SECONDS}:sample_rate=48000"
X264 = ("-c:v", "libx264", "-preset", "ultrafast")
MPEG2 = ("-c:v", "mpeg2video")
BFRAMES = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-b_strategy", "0")
X265 = ("-c:v", "libx265", "-preset", "ultrafast")
INTERLACED = ("-vf", "interlace=scan=tff", "-flags", "+ilme+ildct")
PAL = f"testsrc2=size=720x576:rate=25:duration={SECONDS}"


@dataclass(frozen=True)
class Combination:
    """One file.

    Attributes:
        name: of the file, with the suffix of its container; ``:`` starts what is special in it.
        output: options of ffmpeg for the file; ``-an`` or ``-vn`` where there is no such track.
        pictures: filter that gives the pictures.
        sound: filter that gives the sound.
        video_delay: seconds by which the pictures begin later.
        audio_delay: seconds by which the sound begins later.
        turn: degrees that the file asks players to turn it.
        audio_map: the track that is to be heard.
        video_map: the track that is to be seen.
        mix: filter of ffmpeg that makes what is to be heard; its own mix if not said.
    """

    name: str
    output: tuple[str, ...]
    pictures: str = PICTURES
    sound: str = TONE
    video_delay: float = 0.0
    audio_delay: float = 0.0
    turn: int = 0
    audio_map: str = "0:a:0"
    video_map: str = "0:v:0"
    mix: str = "anull"

    @property
    def has_video(self) -> bool:
        """Whether there are pictures."""
        return "-vn" not in self.output

    @property
    def has_audio(self) -> bool:
        """Whether there is sound."""
        return "-an" not in self.output


def make(one: Combination, folder: Path) -> Path:
    """Let ffmpeg make the file."""
    path = folder / one.name.replace(":", "_").replace(" ", "_")
    first = path.with_name(f"straight_{path.name}") if one.turn else path
    inputs = []
    if one.has_video:
        inputs += ["-itsoffset", f"{one.video_delay}", "-f", "lavfi", "-i", one.pictures]
    if one.has_audio:
        inputs += ["-itsoffset", f"{one.audio_delay}", "-f", "lavfi", "-i", one.sound]
    ffmpeg(*inputs, *one.output, str(first))
    if one.turn:
        turn = ["-metadata:s:v", f"rotate={one.turn}"]
        ffmpeg("-i", str(first), "-map", "0", "-c", "copy", *turn, str(path))
    return path


def ffmpeg(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Run the program, which overwrites and asks nothing."""
    return run("ffmpeg", "-hide_banner", "-nostdin", "-y", *arguments)


def run(*command: str) -> subprocess.CompletedProcess[bytes]:
    """Run a program and keep what it says.

    Raises:
        RuntimeError: it failed.
    """
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.decode()[-500:]}")
    return done


def layout(name: str, *channels: str, seconds: int = SECONDS) -> str:
    """Sound of a layout: one expression per channel."""
    return f"aevalsrc='{'|'.join(channels)}':c={name}:s=48000:d={seconds}"


def _hdr(transfer: str) -> tuple[str, ...]:
    x265 = f"log-level=none:colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
    colours = ("-color_primaries", "bt2020", "-colorspace", "bt2020nc", "-color_trc", transfer)
    return (*X265, "-x265-params", x265, *colours, "-pix_fmt", "yuv420p10le")


def _rate(rate: str) -> str:
    return f"testsrc2=size=160x120:rate={rate}:duration={SECONDS}"


_A, _B, _0 = "0.4*sin(2*PI*440*t)", "0.3*sin(2*PI*700*t)", "0"
_OPPOSITE = layout("stereo", _A, f"-{_A}")
_UNEVEN = ("-vf", "select='lt(mod(n\\,7)\\,3)'", "-fps_mode", "vfr")
_JITTER = ("-vf", "settb=1/1000,setpts='N*40+mod(N*7\\,5)'", "-fps_mode", "passthrough")
_JITTER += ("-enc_time_base", "1:1000")
_PROGRAM = "[0:v]split[a][b];[a]trim=end_frame=1[cover]"
_COVER = ("-filter_complex", _PROGRAM, "-map", "[cover]", "-map", "[b]", "-map", "1:a")
_COVER += ("-c:v:0", "mjpeg", "-pix_fmt:v:0", "yuvj420p", "-c:v:1", "libx264", "-c:a", "aac")
_LEFT = "pan=mono|c0=c0"
_TWO = ("-map", "0", "-map", "1", "-map", "1", "-filter:a:0", "volume=0.1")

COMBINATIONS = (
    # containers and codecs
    Combination("h264.mp4", (*X264, "-c:a", "aac")),
    Combination("h264 b-frames.mp4", (*BFRAMES, "-c:a", "aac", "-ac", "2")),
    Combination("h264 b-frames.mkv", (*BFRAMES, "-c:a", "ac3")),
    Combination("h264 b-frames.ts", (*BFRAMES, "-c:a", "mp2")),
    Combination("h264 b-frames.flv", (*BFRAMES, "-c:a", "aac", "-ar", "44100")),
    Combination("h264 b-frames.avi", (*BFRAMES, "-c:a", "mp3")),
    Combination("h264 b-frames.mov", (*BFRAMES, "-c:a", "alac")),
    Combination("h264 fragments.mp4", (*BFRAMES, "-c:a", "aac", "-movflags", "frag_keyframe")),
    Combination("h264.3gp", (*X264, "-c:a", "aac", "-ar", "16000", "-ac", "1")),
    Combination("h264 raw.h264", (*X264, "-an", "-f", "h264")),
    Combination("hevc.mkv", (*X265, "-x265-params", "log-level=none", "-c:a", "flac")),
    Combination("vp8.webm", ("-c:v", "libvpx", "-c:a", "libvorbis")),
    Combination("vp9.webm", ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-c:a", "libopus")),
    Combination("theora.ogv", ("-c:v", "libtheora", "-c:a", "libvorbis")),
    Combination("mpeg4 b-frames.avi", ("-c:v", "mpeg4", "-bf", "2", "-c:a", "mp3")),
    Combination("mpeg4.avi", ("-c:v", "mpeg4", "-c:a", "pcm_s16le")),
    Combination("mjpeg.avi", ("-c:v", "mjpeg", "-c:a", "pcm_u8")),
    Combination("mpeg2 b-frames.mpg", (*MPEG2, "-bf", "2", "-c:a", "mp2")),
    Combination("mpeg2 b-frames.ts", (*MPEG2, "-bf", "2", "-c:a", "ac3")),
    Combination("mpeg2.mxf", (*MPEG2, "-c:a", "pcm_s16le")),
    Combination("wmv2.wmv", ("-c:v", "wmv2", "-c:a", "wmav2", "-ar", "44100")),
    Combination("prores.mov", ("-c:v", "prores", "-c:a", "pcm_s24le")),
    Combination("ffv1.mkv", ("-c:v", "ffv1", "-c:a", "pcm_f32le")),
    Combination("h264 422 10 bit.mkv", (*X264, "-pix_fmt", "yuv422p10le", "-c:a", "aac")),
    Combination("animation.gif", ("-an", "-r", "10")),
    # rates
    Combination("1 per second.mp4", (*X264, "-an"), _rate("1")),
    Combination("23.976.mp4", (*BFRAMES, "-c:a", "aac"), _rate("24000/1001")),
    Combination("29.97.mkv", (*BFRAMES, "-c:a", "aac"), _rate("30000/1001")),
    Combination("60.ts", (*BFRAMES, "-c:a", "aac"), _rate("60")),
    Combination("240.mp4", (*X264, "-an"), _rate("240")),
    Combination("uneven.mp4", (*BFRAMES, *_UNEVEN, "-an")),
    Combination("uneven.mkv", (*BFRAMES, *_UNEVEN, "-an")),
    Combination("uneven.avi", ("-c:v", "mpeg4", *_UNEVEN, "-an")),
    Combination("webcam of 1000.webm", ("-c:v", "libvpx", *_JITTER, "-an")),
    # fields, shape, light, turn
    Combination("top first.mp4", (*X264, *INTERLACED, "-x264-params", "tff=1", "-an"), _rate("50")),
    Combination("bottom first.ts", (*MPEG2, *INTERLACED, "-top", "0", "-an"), _rate("50")),
    Combination("pal.dv", ("-ac", "2", "-pix_fmt", "yuv420p", "-aspect", "4:3"), PAL),
    Combination("pal wide.mpg", (*MPEG2, "-aspect", "16:9", "-c:a", "mp2"), PAL),
    Combination("pixels 4 to 3.mp4", (*X264, "-vf", "setsar=4/3", "-an")),
    Combination("pixels 8 to 9.mkv", (*X264, "-vf", "setsar=8/9", "-an")),
    Combination("pixels 16 to 11.avi", ("-c:v", "mpeg4", "-vf", "setsar=16/11", "-an")),
    Combination("pq.mp4", (*_hdr("smpte2084"), "-an")),
    Combination("hlg.mkv", (*_hdr("arib-std-b67"), "-an")),
    Combination("turned 90.mp4", (*X264, "-c:a", "aac"), turn=90),
    Combination("turned 180.mov", (*X264, "-c:a", "aac"), turn=180),
    Combination("turned 270.mp4", (*X264, "-an"), turn=270),
    # delays
    Combination("sound later.mp4", (*BFRAMES, "-c:a", "aac"), audio_delay=0.5),
    Combination("sound later.mkv", (*BFRAMES, "-c:a", "libopus"), audio_delay=0.5),
    Combination("sound later.ts", (*BFRAMES, "-c:a", "mp2"), audio_delay=0.3),
    Combination("pictures later.mkv", (*BFRAMES, "-c:a", "flac"), video_delay=0.4),
    Combination("pictures later.mp4", (*BFRAMES, "-c:a", "aac"), video_delay=0.4),
    # tracks
    Combination(
        "default is the second.mkv",
        (*X264, *_TWO, "-c:a", "aac", "-disposition:a:0", "0", "-disposition:a:1", "default"),
        audio_map="0:a:1",
    ),
    Combination(
        "cover before video.mkv",
        _COVER,
        video_map="0:v:1",
    ),
    # sound alone, layouts and rates
    Combination("left alone.wav", ("-vn",), sound=layout("stereo", _A, _0)),
    Combination("two voices.mp3", ("-vn", "-c:a", "libmp3lame"), sound=layout("stereo", _A, _B)),
    Combination("opposite.flac", ("-vn",), sound=_OPPOSITE, mix=_LEFT),
    Combination("opposite.m4a", ("-vn", "-c:a", "aac"), sound=_OPPOSITE, mix=_LEFT),
    Combination("centre of 5.1.ac3", ("-vn",), sound=layout("5.1", _0, _0, _A, _0, _0, _0)),
    Combination("back of 5.1.m4a", ("-vn",), sound=layout("5.1", _0, _0, _0, _0, _A, _B)),
    Combination("7.1.flac", ("-vn",), sound=layout("7.1", _A, _0, _B, _0, _0, _0, _A, _0)),
    Combination("quad.wav", ("-vn", "-c:a", "pcm_s16le"), sound=layout("quad", _A, _0, _0, _B)),
    Combination("8 kHz.wav", ("-vn", "-c:a", "pcm_alaw", "-ar", "8000")),
    Combination("96 kHz.aiff", ("-vn", "-ar", "96000")),
    Combination("11 kHz.mp3", ("-vn", "-ar", "11025")),
    Combination("opus.ogg", ("-vn", "-c:a", "libopus")),
    Combination("wma.wma", ("-vn", "-c:a", "wmav2", "-ar", "44100")),
)
