"""As much of an S3 server as a client of it needs to keep files: in memory, on loopback.

Objects, listings and uploads in parts; who asks is not looked at. Real clients talk to it by HTTP.
"""

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import IO
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class _Bucket(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    objects: dict[str, bytes]
    parts: dict[str, dict[int, bytes]]

    def do_HEAD(self) -> None:
        self._give(body=False)

    def do_GET(self) -> None:
        if "list-type" in self._query:
            return self._list()
        return self._give(body=True)

    def do_PUT(self) -> None:
        content = self._content()
        if "uploadId" in self._query:
            self.parts[self._query["uploadId"]][int(self._query["partNumber"])] = content
        elif "/" in self._key:  # else a bucket, and any is there
            self.objects[self._key] = content
        self._answer(200, headers={"ETag": _tag(content)})

    def do_POST(self) -> None:
        self._content()
        if "uploads" in self._query:
            name = str(len(self.parts))
            self.parts[name] = {}
            return self._answer(200, _xml("InitiateMultipartUploadResult", {"UploadId": name}))
        parts = self.parts[self._query["uploadId"]]
        self.objects[self._key] = b"".join(parts[number] for number in sorted(parts))
        tag = {"ETag": _tag(self.objects[self._key])}
        return self._answer(200, _xml("CompleteMultipartUploadResult", tag))

    def do_DELETE(self) -> None:
        self.objects.pop(self._key, None)
        self._answer(204)

    @property
    def _key(self) -> str:
        return unquote(urlsplit(self.path).path).strip("/") + "/" * (
            self.command == "PUT" and self.path.partition("?")[0].endswith("/")
        )

    @property
    def _query(self) -> dict[str, str]:
        query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        return {name: values[0] for name, values in query.items()}

    def _content(self) -> bytes:
        # A client that signs what it sends cuts it into pieces, and HTTP cuts these once more.
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            content = _joined(self.rfile)
        else:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if "aws-chunked" in self.headers.get("Content-Encoding", ""):
            content = _joined(BytesIO(content))
        return content

    def _give(self, *, body: bool) -> None:
        content = self.objects.get(self._key)
        if content is None:
            is_bucket = "/" not in self._key
            return self._answer(200 if is_bucket else 404, body=body)
        headers = {"ETag": _tag(content), "Last-Modified": formatdate(0, usegmt=True)}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        if not wanted:
            return self._answer(200, content, headers, body=body)
        first, last = int(wanted[1]), min(int(wanted[2] or len(content)), len(content) - 1)
        headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
        return self._answer(206, content[first : last + 1], headers, body=body)

    def _list(self) -> None:
        bucket, prefix = f"{self._key}/", self._query.get("prefix", "")
        names = [key.removeprefix(bucket) for key in sorted(self.objects)]
        found = [name for name in names if name.startswith(prefix)]
        entry = "<Contents><Key>{}</Key><Size>{}</Size><LastModified>{}</LastModified></Contents>"
        rows = [
            entry.format(escape(one), len(self.objects[bucket + one]), "2020-01-01T00:00:00.000Z")
            for one in found
        ]
        facts = {"KeyCount": str(len(found)), "IsTruncated": "false", "Prefix": escape(prefix)}
        self._answer(200, _xml("ListBucketResult", facts, "".join(rows)))

    def _answer(
        self,
        status: int,
        content: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        body: bool = True,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _joined(file: IO[bytes]) -> bytes:
    """What comes in pieces, each behind a line with its length, up to one of length 0."""
    pieces = []
    while size := int(re.split(rb"[;\r]", file.readline(), maxsplit=1)[0], 16):
        pieces.append(file.read(size))
        file.readline()
    while file.readline().strip():  # checksums that follow
        pass
    return b"".join(pieces)


def _tag(content: bytes) -> str:
    return f'"{md5(content, usedforsecurity=False).hexdigest()}"'


def _xml(name: str, facts: dict[str, str], more: str = "") -> bytes:
    inside = "".join(f"<{key}>{value}</{key}>" for key, value in facts.items())
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return f'{head}<{name} xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{inside}{more}</{name}>'.encode()


@contextmanager
def object_store() -> Iterator[str]:
    """Serve; gives the address of the server, to be named in ``AWS_ENDPOINT_URL``."""
    handler = type("Bucket", (_Bucket,), {"objects": {}, "parts": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
