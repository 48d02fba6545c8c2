"""Models of sound, words, facial signals and runs of pictures."""

from benchmarks.planted.case import (
    CHANNELS,
    FACE,
    FACES,
    ORDER,
    UNMIRRORED,
    VOICE,
    WORDS,
    Case,
    adam,
)

# Every other frame instead of each: blinks and syllables are there, at half the cost.
_RATE = "features.signals.rate=12.5"

SIGNALS = {
    "functionals": Case("functionals", (), ("signals",)),
    "au_hybrid": Case(
        "au_hybrid",
        (
            _RATE,
            "model.width=64",
            "model.units=32",
            "model.channels=[32,32,32]",
            "model.kernels=[8,5,3]",
            "model.hidden=[32]",
            "augment.noise.sd=0.2",
            "train.lr=0.002",
            "train.epochs=40",
            "train.batch_size=16",
            "train.passes=1",
        ),
        ("signals",),
        VOICE,
    ),
    "au_conv": Case(
        "au_conv",
        (_RATE, "model.rows=48", "model.width=4", *adam(0.002, 40, 16)),
        ("signals",),
        VOICE,
    ),
    "au_spectrum_mlp": Case(
        "au_spectrum_mlp",
        (_RATE, "model.rows=50", "model.bins=20", *adam(0.001, 60, 16, decay=0.05)),
        ("signals",),
        VOICE,
        faint=(*(name for name in FACE if name != "smile"), *ORDER),
        why="one action unit, AU12, and no other: the smile alone is counted",
    ),
}

FUSION = {
    "fusion_transformer": Case(
        "fusion_transformer",
        (
            "model.streams={signals: {rows: 50, patch: 5, seconds: 0.08, extract: {rate: 12.5}}, "
            "short_term: {rows: 160, patch: 8, seconds: 0.025}}",
            "model.width=48",
        ),
        ("signals",),
    ),
}

SOUND = {
    "audio_spectrum_cnn": Case(
        "audio_spectrum_cnn", ("model.bins=8000", *adam(0.003, 60, 16)), hidden=(*FACE, *ORDER)
    ),
    "audio_linear": Case(
        "audio_linear", ("model.rows=400", "train.milestones=[80]", "train.epochs=100"), hidden=FACE
    ),
    "audio_lstm": Case(
        "audio_lstm", (*adam(0.003, 100, 32, decay=0.05), "model.dropout=0.3"), hidden=FACE
    ),
    "audio_resnet18": Case("audio_resnet18", (*adam(0.002, 40, 16), *CHANNELS), hidden=FACE),
    "functional_mlp": Case(
        "functional_mlp",
        ("model.stream=egemaps", "model.hidden=[128,64]", *adam(0.002, 60, 16, decay=0.05)),
        hidden=FACE,
    ),
    "audio_embedding_mlp": Case(
        "audio_embedding_mlp",
        (
            "features.audio_embedding.encoder={folder}/encoder",
            "features.audio_embedding.row_seconds=0.5",
            "model.rows=8",
            "model.hidden=[128,64]",
            *adam(0.001, 60, 16, decay=0.05),
        ),
        hidden=FACE,
        why="its encoder is frozen, and has random weights here",
    ),
}

TEXT = {
    "text_stack": Case("text_stack", hidden=WORDS),
    "text_transformer": Case(
        "text_transformer",
        (
            "model.encoder=''",
            "model.architecture={model_type: bert, hidden_size: 32, num_hidden_layers: 1, "
            "num_attention_heads: 2, intermediate_size: 64, max_position_embeddings: 64}",
            "model.pretrained=false",
            "model.max_tokens=64",
            *adam(0.001, 30, 16),
        ),
        hidden=WORDS,
    ),
}

_VIDEO = ("model.input=faces", *FACES, *UNMIRRORED)
_SMALL = ("model.layers=[1,1,1,1]", "model.width=16")
_S2D = (
    "model.size=112",
    "model.patch=16",
    "model.frames=8",
    "model.dim=64",
    "model.depth=3",
    "model.heads=4",
    "model.prompt_dim=8",
    "model.temporal_dim=32",
    "model.temporal_heads=4",
    "model.freeze_backbone=false",
    "model.dropout=0.1",
    "train.optimizer=adamw",
    "train.schedule=cosine",
    "train.warmup_epochs=3",
    "train.lr=0.001",
    "train.weight_decay=0.05",
    "train.epochs=40",
    "train.batch_size=16",
)

VIDEO = {
    "vat": Case(
        "vat",
        (
            "model.input=faces",
            "features.faces.size=64",
            *UNMIRRORED,
            "model.frames=8",
            "model.height=64",
            "model.sampling=spread",
            "model.backbone=test_resnet",
            "model.pretrained=false",
            "model.dim=64",
            "model.heads=4",
            "model.units=2",
            "model.dropout=0.0",
            *adam(0.003, 60, 16),
        ),
        ("faces",),
        VOICE,
    ),
    "s2d": Case("s2d", _S2D, ("faces", "landmarks"), VOICE),
    "s2d without landmarks": Case("s2d", (*_S2D, "model.landmarks=none"), ("faces",), VOICE),
    "resnet3d": Case(
        "resnet3d", (*_VIDEO, *_SMALL, "model.frames=8", *adam(0.002, 30, 8)), ("faces",), VOICE
    ),
    "slowfast": Case(
        "slowfast",
        (
            *_VIDEO,
            *_SMALL,
            "model.frames=16",
            "model.beta=4",
            "model.fusion=3",
            "model.dropout=0.0",
            *adam(0.002, 30, 8),
        ),
        ("faces",),
        VOICE,
    ),
    "tpn": Case(
        "tpn",
        (
            *_VIDEO,
            "model.frames=8",
            "model.backbone=test_resnet",
            "model.pretrained=false",
            "model.tempos=[2,4]",
            "model.groups=2",
            "model.dropout=0.0",
            *adam(0.002, 30, 8),
        ),
        ("faces",),
        VOICE,
    ),
    "video_backbone": Case(
        "video_backbone",
        (
            *_VIDEO,
            "model.backbone=swin3d_t",
            "model.frames=8",
            "model.swin={embed_dim: 24, depths: [2, 2], num_heads: [2, 4], window_size: [4, 4, 4]}",
            *adam(0.001, 40, 16, decay=0.05),
        ),
        ("faces",),
        VOICE,
    ),
}
