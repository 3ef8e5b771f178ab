"""A token endpoint of OAuth that a test can take down, and the keys with which a broker verifies its tokens."""

import base64
import json
import secrets
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from joserfc import jwt
from joserfc.jwk import RSAKey

AUDIENCE = "kafka"
CLIENT = "reelsync client"
"""With a space, which a client must encode."""


class TokenEndpoint:
    """Serves `url` while it is not stopped. Attributes may be changed at any time."""

    def __init__(self) -> None:
        self.secret = f"canary/{secrets.token_urlsafe(16)}+"
        self.token_seconds = 60
        self.audience = AUDIENCE
        self.is_down = False
        self.given = 0
        """The number of tokens that were given."""
        self._key = RSAKey.generate_key(2048, {"kid": "1", "use": "sig", "alg": "RS256"})
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = endpoint.answer(self.headers["Authorization"], parse_qs(body.decode()))
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(answer).encode())

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/token"

    def public_keys(self) -> bytes:
        """The keys that verify the tokens, as a JWKS."""
        return json.dumps({"keys": [self._key.as_dict(private=False)]}).encode()

    def answer(self, login: str, form: dict[str, list[str]]) -> tuple[int, dict[str, Any]]:
        """Status and body for a request with this login and form."""
        client, _, secret = base64.b64decode(login.removeprefix("Basic ")).decode().partition(":")
        if self.is_down:
            return 503, {}
        if (unquote_plus(client), unquote_plus(secret)) != (CLIENT, self.secret):
            return 401, {"error": "invalid_client", "error_description": f"not {secret}"}
        if form["grant_type"] != ["client_credentials"] or form.get("scope", ["topics"]) != ["topics"]:
            return 400, {"error": "invalid_scope"}
        self.given += 1
        return 200, {"access_token": self.token(), "token_type": "bearer", "expires_in": self.token_seconds}

    def token(self, seconds: float | None = None) -> str:
        """A token that ends so many seconds from now."""
        now = int(time.time())
        claims = {"sub": "reelsync", "aud": self.audience, "iat": now - 3600 * (seconds is not None)}
        claims["exp"] = now + round(self.token_seconds if seconds is None else seconds)
        return jwt.encode({"alg": "RS256", "kid": "1"}, claims, self._key)

    def stop(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()
