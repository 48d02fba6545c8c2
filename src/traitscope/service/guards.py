"""What every request passes before a route sees it: names, origins, tokens, headers of answers.

A page of anybody can make a browser call this machine. So a browser's request must name this server
as its host (else a foreign name could be pointed here), and must come from this server's own pages
where it changes anything.
"""

import base64
import binascii
import hmac
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from traitscope.service.settings import Settings

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; style-src-attr 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""What a page of ours may load: what comes from here, and what the person chose. The lengths of
bars stand in attributes of style; what these could load is bounded by the rest of it."""
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not no-referrer: browsers then name no origin of a form either, and it would be refused.
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(self), geolocation=()",
    "cache-control": "no-store",
}
_OPEN_TO_ALL = frozenset({"/v1/health", "/v1/ready"})
"""Asked by whoever looks after the server, and say nothing of anybody."""
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")

App = Callable[..., Any]


class Guard:
    """An ASGI application around another one."""

    def __init__(self, app: App, *, settings: Settings, responded: Callable[[int], None]) -> None:
        self._app, self._settings, self._responded = app, settings, responded

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def answer(message: Any) -> None:
            if message["type"] == "http.response.start":
                self._responded(message["status"])
                names = {name for name, _ in message["headers"]}
                more = [(k.encode(), v.encode()) for k, v in _HEADERS.items()]
                message["headers"] = [
                    *message["headers"],
                    *((name, value) for name, value in more if name not in names),
                ]
            await send(message)

        root = self._settings.root_path
        if root:  # some proxies cut it off before they pass a request on, and some do not
            inner = scope["path"].removeprefix(root)
            scope = {**scope, "root_path": root, "path": root + inner}
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, answer)
        else:
            await _refuse(answer, *refusal)

    def _refusal(self, scope: Any) -> tuple[int, str, str] | None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        names = self._settings.names
        if names and _name_of(host) not in names:
            why = f"This server is not called {host[:100]!r}. Start it with --name to change that."
            return 421, "wrong_host", why
        origin = headers.get(b"origin")
        changes = scope["method"] not in {"GET", "HEAD", "OPTIONS"}
        if changes and origin is not None and urlsplit(origin).netloc != host:
            return 403, "foreign_page", "Pages of other sites may not send anything here."
        path = scope["path"].removeprefix(self._settings.root_path)
        if self._settings.token and path not in _OPEN_TO_ALL:
            shown = headers.get(b"authorization", "")
            if not _is_shown(self._settings.token, shown):
                return 401, "no_token", "Show the token: Authorization: Bearer TOKEN."
        return None


def _name_of(host: str) -> str:
    """The host without its port."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower()


def _is_shown(token: str, header: str) -> bool:
    """Whether a header shows the token: as a bearer, or as the password that browsers ask for."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "basic":
        try:
            value = base64.b64decode(value, validate=True).decode().partition(":")[2]
        except (binascii.Error, ValueError):
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(value.strip().encode(), token.encode())


async def _refuse(send: Any, status: int, code: str, reason: str) -> None:
    body = json.dumps({"error": code, "reason": reason}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if status == 401:
        # Basic as well: a browser then asks the person, and shows it with every request.
        headers.append((b"www-authenticate", b'Basic realm="traitscope", charset="UTF-8"'))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
