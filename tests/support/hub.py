"""A model hub on 127.0.0.1: what the real client of hubs asks for, and what was uploaded to it."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SHA = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Repositories of one revision each: name -> file -> content; and every request it got."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.requests: list[str] = []
        self.url = ""


@contextmanager
def hub() -> Iterator[Hub]:
    """Serve until the end of the block."""
    state = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("_Bound", (_Handler,), {"state": state}))
    state.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Answers to one client; ``state`` is set by whoever serves."""

    state: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        self.state.requests.append(f"{self.command} {self.path}")
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts[:2] == ["api", "models"]:
            self._tree_or_facts("/".join(parts[2:4]), parts[4:])
        elif len(parts) >= 5 and parts[2] == "resolve":
            files = self.state.repositories.get("/".join(parts[:2]), {})
            self._file(files.get("/".join(parts[4:])))
        else:
            self._json({"error": "not found"}, 404)

    def do_POST(self) -> None:
        self.state.requests.append(f"POST {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = self.path.partition("?")[0].strip("/").split("/")
        if parts == ["api", "repos", "create"]:
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            self.state.repositories.setdefault(name, {})
            self._json({"url": f"{self.state.url}/{name}"})
        elif parts == ["api", "validate-yaml"]:
            self._json({"errors": [], "warnings": []})
        elif "preupload" in parts:
            files = [
                {"path": one["path"], "uploadMode": "regular", "shouldIgnore": False}
                for one in json.loads(body)["files"]
            ]
            self._json({"files": files})
        elif "commit" in parts:
            repository = self.state.repositories["/".join(parts[2:4])]
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    content = base64.b64decode(entry["value"]["content"])
                    repository[entry["value"]["path"]] = content
            url = f"{self.state.url}/{'/'.join(parts[2:4])}/commit/{SHA}"
            self._json({"success": True, "commitUrl": url, "commitOid": SHA})
        else:
            self._json({"error": "not found"}, 404)

    def _tree_or_facts(self, name: str, rest: list[str]) -> None:
        files = self.state.repositories.get(name)
        if files is None:
            self._json({"error": "Repository not found"}, 404, "RepoNotFound")
        elif rest[:1] == ["tree"]:
            tree = [
                {"type": "file", "path": path, "size": len(content), "oid": _sum(content)}
                for path, content in files.items()
            ]
            self._json(tree)
        elif rest[:1] == ["revision"] and rest[1] not in {"main", "v1", SHA}:
            self._json({"error": "Revision not found"}, 404, "RevisionNotFound")
        else:
            siblings = [{"rfilename": path} for path in files]
            self._json({"id": name, "sha": SHA, "siblings": siblings, "private": False})

    def _file(self, content: bytes | None) -> None:
        if content is None:
            self._json({"error": "Entry not found"}, 404, "EntryNotFound")
            return
        self.send_response(200)
        self.send_header("X-Repo-Commit", SHA)
        self.send_header("ETag", f'"{_sum(content)}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def _json(self, tree: Any, code: int = 200, error: str = "") -> None:
        content = json.dumps(tree).encode()
        self.send_response(code)
        if error:
            self.send_header("X-Error-Code", error)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _sum(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
