"""What the OpenAPI document says beside the shapes: how recordings are sent, what is refused."""

from typing import Any

ABOUT = (
    "Estimates of apparent or self-reported Big Five traits from recordings of a person talking. "
    "They are a model's guess, with intervals; not for decisions about people, and not for ranking "
    "them. Send a recording to /v1/predictions, then follow the links of the answer."
)

_EXPLAIN = {
    "type": "boolean",
    "description": "Whether the scores are explained as well; see links.explanation.",
}
_FIELDS = {
    "model": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Names of runs, see /v1/models; the first one where none is named.",
    },
    "text": {"type": "string", "description": "What is said, for runs that read words."},
}

SENT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "explain": _EXPLAIN,
                        **_FIELDS,
                    },
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"name": {"type": "string"}, "explain": _EXPLAIN, **_FIELDS},
                    "required": ["text"],
                },
                "example": {"text": "Well, I think we should just try it.", "name": "speech"},
            },
        },
    }
}
"""The three bodies that a job comes in."""

ASKED: dict[str, Any] = {
    "parameters": [
        {
            "name": "model",
            "in": "query",
            "schema": {"type": "string"},
            "description": "Whose scores, of the models of the job; all of them if not said.",
        }
    ],
    "requestBody": {
        "required": False,
        "description": "The recording once more, where it is deleted already.",
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"file": {"type": "string", "format": "binary"}},
                }
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    },
}
"""What may come with the question why."""

_REFUSALS = {
    400: ("The body is not what its content type says.", "no_form"),
    404: ("There is no such job.", "unknown"),
    408: ("The body came too slowly.", "too_slow"),
    409: ("The key came with something else before, or nothing can be explained.", "reused_key"),
    410: ("The recording is deleted: send it once more.", "gone"),
    413: ("The recording is too large, as counted while it came.", "too_large"),
    415: ("It is no recording.", "undecodable"),
    422: ("It cannot be scored, or the request is wrong.", "no_face"),
    429: ("Too many jobs of one client in a minute; see Retry-After.", "too_often"),
    503: ("The line or the disk is full; see Retry-After.", "full"),
}


def problems(model: type) -> dict[int | str, dict[str, Any]]:
    """Responses that are no success, for OpenAPI; ``model`` is their shape."""
    return {
        status: {
            "model": model,
            "description": about,
            "content": {"application/json": {"example": {"error": code, "reason": about}}},
        }
        for status, (about, code) in _REFUSALS.items()
    }


def some(every: dict[int | str, dict[str, Any]], *statuses: int) -> dict[int | str, dict[str, Any]]:
    """Those of some statuses."""
    return {status: every[status] for status in statuses}
