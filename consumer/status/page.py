"""The status page: one document, and the policy that lets a browser run what is in it and nothing else."""

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import NamedTuple

_SCRIPTS = ("drawing.js", "charts.js", "page.js")


class StatusPage(NamedTuple):
    """The document, and its Content-Security-Policy."""

    html: str
    policy: str


@cache
def status_page() -> StatusPage:
    """The page, read once, with its style and its script in it.

    Both are allowed by their hashes, and the script may not turn text into HTML.
    Source: https://www.w3.org/TR/CSP3/ and https://www.w3.org/TR/trusted-types/
    """
    html = _file("page.html").replace("<style>", f"<style>\n{_file('page.css')}")
    html = html.replace("<script>", "\n".join(["<script>", *map(_file, _SCRIPTS)]))
    policy = [
        "default-src 'none'",
        f"script-src {_hash(html, 'script')}",
        f"style-src {_hash(html, 'style')}",
        "img-src data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
    return StatusPage(html, "; ".join(policy))


def _hash(html: str, tag: str) -> str:
    (content,) = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.DOTALL)
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")
