"""The page's own files: pages are asked for anew each time, what they refer to is kept for a year.

The address of every script has a hash of all of them in it, so that a browser never mixes
the modules of two releases. Relative imports stay below the same address.
"""

import base64
import gzip
import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from fastapi.responses import HTMLResponse
from starlette.datastructures import Headers
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.web.page_bundle import PageBundle
from deployments.web.page_words import divided, later_words

_CACHED: Final = "public, max-age=31536000, immutable"
_REVALIDATED: Final = "no-cache"
_VERSION: Final = re.compile(r"^[0-9a-f]{12}$")
_STYLES: Final = re.compile(r'(?:\s*<link rel="stylesheet" href="web/[^"]+" />)+')
_STYLE: Final = re.compile(r'href="web/([^"]+)"')
_STYLE_SPACE: Final = re.compile(r"/\*.*?\*/\s*|^\s+", re.DOTALL | re.MULTILINE)
_SCRIPT: Final = "app.js"
_FOLLOWING: Final = "soon.js"
_SCRIPT_TAG: Final = re.compile(rf'<script type="module" src="[^"]*/{_SCRIPT}"></script>')
_LANGUAGE: Final = re.compile(r"(?:^|,)\s*([a-z]+)")
_SHOWN_FIRST: Final = re.compile('id="(?:welcome|with)"')
_POLICY: Final = (
    "default-src 'self'; style-src 'self' 'sha256-{style}'; media-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_PAGE_HEADERS: Final = {
    "Cache-Control": _REVALIDATED,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "strict-origin",
    "Vary": "Accept-Language",
    "X-Content-Type-Options": "nosniff",
}
"""Nothing of anybody else's runs in the page, and no other page shows it in a frame to have it clicked."""


class PageFiles(StaticFiles):
    """Serves `folder` below `/web`, with and without the version in the path.

    With the version, the modules of the page are one script, and libraries of others (`vendor`) are packed.
    Without it every file is as it is written. The style sheets of a page are in the page, which is drawn
    before anything else has come.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, follow_symlink=True)  # the client lies elsewhere
        self._folder = folder
        self.version = _hash_of(folder)
        self._made: dict[str, tuple[str, bytes]] = {}
        if (folder / _SCRIPT).is_file():
            bundle = PageBundle(folder, _SCRIPT, _FOLLOWING)
            for path, text in bundle.texts.items():
                self._keep(path, "text/javascript", text)
            self._keep_words(bundle)
        for library in (folder / "vendor").glob("*.js"):
            self._keep(f"vendor/{library.name}", "text/javascript", library.read_text(encoding="utf-8"))

    def _keep_words(self, bundle: PageBundle) -> None:
        """Words that only later parts need come after those of the page and its script."""
        modules = {path.name: path.read_text(encoding="utf-8") for path in self._folder.glob("strings/*.js")}
        pages = "".join(path.read_text(encoding="utf-8") for path in self._folder.glob("*.html"))
        later = later_words(modules.values(), pages + bundle.texts[_SCRIPT], "".join(bundle.texts.values()))
        for name, text in modules.items():
            first, rest = divided(text, later)
            self._keep(f"strings/{name}", "text/javascript", first)
            self._keep(f"strings/{name.removesuffix('.js')}.later.js", "text/javascript", rest)

    def _keep(self, path: str, media_type: str, text: str) -> None:
        self._made[path] = (media_type, gzip.compress(text.encode(), mtime=0))

    def page(self, name: str) -> ASGIApp:
        """An HTML file of the folder, with its style sheets in it."""
        text = (self._folder / name).read_text(encoding="utf-8")
        paths = [path for links in _STYLES.findall(text) for path in _STYLE.findall(links)]
        style = "".join((self._folder / path).read_text(encoding="utf-8") for path in paths)
        style = _STYLE_SPACE.sub("", style)
        text = _STYLES.sub(lambda _: f"\n    <style>{style}</style>", text)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        files = f"web/{self.version}/"
        words = {file.stem: f"{files}strings/{file.name}" for file in self._folder.glob("strings/*.js")}
        return GZipMiddleware(_Page(text.replace('="web/', f'="{files}'), digest, words))

    def get_path(self, scope: Scope) -> str:
        """The path within the folder.

        A gateway of another release refers to another version: it gets the files that are here.
        """
        first, _, rest = super().get_path(scope).partition(os.sep)
        return rest if _VERSION.match(first) else os.path.join(first, rest) if rest else first

    async def get_response(self, path: str, scope: Scope) -> Response:
        current = f"/web/{self.version}/" in scope["path"]
        if current and path in self._made:
            return self._made_response(path, Headers(scope=scope))
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = _CACHED if current else _REVALIDATED
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    def _made_response(self, path: str, wish: Headers) -> Response:
        media_type, packed = self._made[path]
        headers = {"Cache-Control": _CACHED, "Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff"}
        if "gzip" not in wish.get("accept-encoding", ""):
            return Response(gzip.decompress(packed), headers=headers, media_type=media_type)
        return Response(packed, headers={**headers, "Content-Encoding": "gzip"}, media_type=media_type)


class _Page:
    """A response of its own for each request: the compression changes its headers.

    At an address without a query a chat begins: its welcome is on show before there is a script.
    The script imports the words of the browser's language: they are loaded beside it.
    """

    def __init__(self, text: str, style: str, words: Mapping[str, str]) -> None:
        """`style`: the SHA-256 of the style in it, in Base64; `words`: paths by language, without English."""
        self._begins = text
        self._continues = _SHOWN_FIRST.sub(r"\g<0> hidden", text)
        self._words = words
        self._headers = {"Content-Security-Policy": _POLICY.format(style=style), **_PAGE_HEADERS}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        text = self._continues if scope["query_string"] else self._begins
        text = _SCRIPT_TAG.sub(rf"\g<0>{self._preload(Headers(scope=scope))}", text)
        await HTMLResponse(text, headers=self._headers)(scope, receive, send)

    def _preload(self, wish: Headers) -> str:
        """A link to the words of the first language that the page speaks; empty for English."""
        wished = _LANGUAGE.findall(wish.get("accept-language", "").lower())
        spoken = (language for language in wished if language == "en" or language in self._words)
        path = self._words.get(next(spoken, "en"))
        return f'\n    <link rel="modulepreload" href="{path}" />' if path else ""


def _hash_of(folder: Path) -> str:
    digest = hashlib.sha256()
    for place, _, names in sorted(os.walk(folder, followlinks=True)):
        for file in (Path(place, name) for name in sorted(names)):
            digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:12]
