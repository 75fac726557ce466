"""The page's own files: pages are asked for anew each time, what they refer to is kept for a year.

The address of every script and style sheet has a hash of all of them in it, so that a browser never mixes
the modules of two releases. Relative imports stay below the same address.
"""

import hashlib
import os
import re
from pathlib import Path
from typing import Final

from fastapi.responses import HTMLResponse
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

_CACHED: Final = "public, max-age=31536000, immutable"
_REVALIDATED: Final = "no-cache"
_VERSION: Final = re.compile(r"^[0-9a-f]{12}$")
_IMPORT: Final = re.compile(r'^(?:import|export)\b[^;]*?"(\.{1,2}/[^"]+)";', re.MULTILINE)
_SCRIPT: Final = re.compile(r'<script type="module" src="web/([^"]+)"')
_PAGE_HEADERS: Final = {
    "Cache-Control": _REVALIDATED,
    "Content-Security-Policy": "default-src 'self'; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "strict-origin",
    "X-Content-Type-Options": "nosniff",
}
"""Nothing of anybody else's runs in the page, and no other page shows it in a frame to have it clicked."""


class PageFiles(StaticFiles):
    """Serves `folder` below `/web`, with and without the version in the path."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, follow_symlink=True)  # the client lies elsewhere
        self._folder = folder
        self.version = _hash_of(folder)

    def page(self, name: str) -> ASGIApp:
        """An HTML file of the folder; the modules that its script imports are loaded beside each other."""
        text = (self._folder / name).read_text(encoding="utf-8")
        links = "".join(
            f'<link rel="modulepreload" href="web/{path}" />\n'
            for script in _SCRIPT.findall(text)
            for path in modules_of(self._folder, script)
        )
        text = text.replace("</head>", f"{links}</head>").replace('="web/', f'="web/{self.version}/')
        return GZipMiddleware(_Page(text))

    def get_path(self, scope: Scope) -> str:
        """The path within the folder.

        A gateway of another release refers to another version: it gets the files that are here.
        """
        first, _, rest = super().get_path(scope).partition(os.sep)
        return rest if _VERSION.match(first) else os.path.join(first, rest) if rest else first

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        current = f"/web/{self.version}/" in scope["path"]
        response.headers["Cache-Control"] = _CACHED if current else _REVALIDATED
        return response


class _Page:
    """A response of its own for each request: the compression changes its headers."""

    def __init__(self, text: str) -> None:
        self._text = text

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await HTMLResponse(self._text, headers=_PAGE_HEADERS)(scope, receive, send)


def modules_of(folder: Path, script: str) -> list[str]:
    """The script and every module that it imports, directly or not, as paths within the folder."""
    found = [script]
    for path in found:
        for name in _IMPORT.findall((folder / path).read_text(encoding="utf-8")):
            imported = os.path.normpath(os.path.join(os.path.dirname(path), name))
            if imported not in found:
                found.append(imported)
    return found


def _hash_of(folder: Path) -> str:
    digest = hashlib.sha256()
    for place, _, names in sorted(os.walk(folder, followlinks=True)):
        for file in (Path(place, name) for name in sorted(names)):
            digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]
