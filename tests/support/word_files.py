"""One short file of words of every kind that is read; each says `HELLO`, in two halves of 2 s."""

import json

HELLO = "hello there my name is Ann"

SRT = """1
00:00:00,000 --> 00:00:02,000
hello there

2
00:00:02,000 --> 00:00:04,000
my name is Ann
"""
VTT = """WEBVTT - a title
Kind: captions

NOTE this is
not said

STYLE
::cue { color: red }

intro
00:00.000 --> 00:02.000 align:start
<v.loud Ann>hello there</v>

NOTE nor is this

second
00:02.000 --> 00:04.000
<i>my</i> name <c.yellow>is</c> Ann
"""
SBV = "0:00:00.000,0:00:02.000\nhello there\n\n0:00:02.000,0:00:04.000\nmy name[br]is Ann\n"
SUBVIEWER = (
    "[INFORMATION]\n[TITLE]a film\n[END INFORMATION]\n[SUBTITLE]\n"
    "00:00:00.00,00:00:02.00\nhello there\n\n00:00:02.00,00:00:04.00\nmy name[br]is Ann\n"
)
MICRODVD = "{1}{1}25.0\n{0}{50}{y:i}hello there\n{50}{100}my name|is Ann\n"
MPL2 = "[0][20]/hello there\n[20][40]my name|/is Ann\n"
LRC = (
    "[ar:Ann]\n[offset:+100]\n[00:00.00]hello <00:00.50> there\n[00:02.00]my name\n"
    "[00:03.00]is Ann\n"
)
PRINTED = "[00:00.000 --> 00:02.000]  hello there\n[00:02.000 --> 00:04.000]  my name is Ann\n"
COPIED = "0:00\nhello there\n0:02\nmy name is Ann\n"
ASS = """[Script Info]
ScriptType: v4.00+

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:09.00,Default,,0,0,0,,not said, by anyone
Dialogue: 0,0:00:02.00,0:00:04.00,Default,,0,0,0,,{\\i1}my{\\i0} name\\Nis {\\k20}A{\\k30}nn
Dialogue: 0,0:00:00.00,0:00:02.00,Default,,0,0,0,,hello there
Dialogue: 1,0:00:00.00,0:00:02.00,Default,,0,0,0,,hello there
Dialogue: 0,0:00:04.00,0:00:05.00,Default,,0,0,0,,{\\p1}m 0 0 l 100 0 100 100{\\p0}
"""
SSA = """[Script Info]
[Events]
Format: Marked, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: Marked=0,0:00:00.00,0:00:02.00,Default,,0000,0000,0000,,hello there
Dialogue: Marked=0,0:00:02.00,0:00:04.00,Default,,0000,0000,0000,,my name is Ann
"""
TTML = """<?xml version="1.0" encoding="utf-8"?>
<tt xmlns="http://www.w3.org/ns/ttml" xml:lang="en"><head/><body><div>
  <p begin="00:00:00.000" end="00:00:02.000">hello <span>there</span></p>
  <p begin="2s" dur="2s">my name<br/>is Ann</p>
</div></body></tt>
"""
TIMED_TEXT = (
    '<timedtext format="3"><body><p t="0" d="2000"><s>hello</s><s t="9"> there</s></p>'
    '<p t="2000" d="2000">my name is Ann</p></body></timedtext>'
)
TEXTGRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 4
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 4
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 2
            text = "hello there"
        intervals [2]:
            xmin = 2
            xmax = 2.5
            text = "sp"
        intervals [3]:
            xmin = 2.5
            xmax = 4
            text = "my name is Ann"
    item [2]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 4
        intervals: size = 1
        intervals [1]:
            xmin = 0
            xmax = 4
            text = "HH AH"
"""
SHORT_TEXTGRID = (
    'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n4\n<exists>\n1\n"IntervalTier"\n'
    '"Ann"\n0\n4\n2\n0\n2\n"hello there"\n2\n4\n"my name is Ann"\n'
)
TSV = "start\tend\ttext\n0\t2000\thello there\n2000\t4000\tmy name is Ann\n"
CSV = 'start,end,text\n0,2000," hello there"\n2000,4000," my name is Ann"\n'
LABELS = "0.000000\t2.000000\thello there\n2.000000\t4.000000\tmy name is Ann\n"

SEGMENTS = [
    {"id": 0, "start": 0.0, "end": 2.0, "text": " hello there", "tokens": [1, 2]},
    {"id": 1, "start": 2.0, "end": 4.0, "text": " my name is Ann", "words": []},
]
WHISPER = {"text": f" {HELLO}", "segments": SEGMENTS, "language": "en"}
WHISPER_CPP = {
    "systeminfo": "AVX",
    "transcription": [
        {"offsets": {"from": 0, "to": 2000}, "text": " hello there"},
        {"offsets": {"from": 2000, "to": 4000}, "text": " my name is Ann"},
    ],
}
PIPELINE = {
    "text": HELLO,
    "chunks": [
        {"timestamp": [0.0, 2.0], "text": " hello there"},
        {"timestamp": [2.0, None], "text": " my name is Ann"},
    ],
}
WORD_LIST = [
    {"word": word, "start": float(number), "end": number + 0.5}
    for number, word in enumerate(HELLO.split())
]

KINDS = {
    "a.srt": SRT,
    "vtt inside.srt": VTT,
    "b.vtt": VTT,
    "below empty lines.vtt": f"\n\n{VTT}",
    "c.sbv": SBV,
    "d.sub": SUBVIEWER,
    "e.sub": MICRODVD,
    "f.txt": MPL2,
    "g.lrc": LRC,
    "h.txt": PRINTED,
    "i.txt": COPIED,
    "j.ass": ASS,
    "k.ssa": SSA,
    "l.ttml": TTML,
    "m.dfxp": TTML,
    "n.xml": TIMED_TEXT,
    "o.TextGrid": TEXTGRID,
    "p.TextGrid": SHORT_TEXTGRID,
    "q.tsv": TSV,
    "r.csv": CSV,
    "s.txt": LABELS,
    "t.json": json.dumps(WHISPER),
    "u.json": json.dumps(SEGMENTS, indent=1),
    "v.json": json.dumps(WHISPER_CPP),
    "w.json": json.dumps(PIPELINE),
    "x.json": json.dumps(WORD_LIST),
    "y.json": json.dumps({"text": HELLO}),
    "z.txt": json.dumps(WHISPER),
    "lines.json": "\n".join(json.dumps(segment) for segment in SEGMENTS),
    "plain.txt": f"\n{HELLO}\n",
    "no suffix": HELLO,
}
