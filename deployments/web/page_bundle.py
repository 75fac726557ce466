"""A page's modules in few files: one for its beginning, one for what it loads next, one for each later part.

The modules stay as they are written. Each becomes a function in exactly one file, and other files import it
from there. Only names in braces are imported and exported.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_IMPORT: Final = re.compile(r'^import \{([^}]*)\} from "(\.{1,2}/[^"]+)";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:async )?(?:function\*?|class|const) (\w+))", re.MULTILINE)
_EXPORTED: Final = re.compile(r"^export \{([^}]*)\};\n", re.MULTILINE)
_OTHER: Final = re.compile(r"^(?:import|export)\b(?!\().*", re.MULTILINE)
_LATER: Final = re.compile(r"\bimport\(([\"`])(\.{1,2}/[^\"`]+)\1\)")
_TOKEN: Final = re.compile(
    r"""(?P<comment>/\*.*?\*/|//[^\n]*)|(?P<text>`(?:[^`\\]|\\.)*`)|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'"""
    r"""|(?:[=(,:!&|?>\[]|\breturn)\s*/(?![/*])(?:[^/\\\n\[]|\\.|\[(?:[^\]\\\n]|\\.)*\])+/""",
    re.DOTALL,
)
"""A comment, a text or a regular expression, which may look like code and is none."""
_KEPT: Final = re.compile("\0([0-9]+)\0")
_MARGIN: Final = re.compile(r"\n\s+")
_WAITS: Final = re.compile(r"^\S.*\bawait\b", re.MULTILINE)


class PageBundle:
    """The files of the page whose script is `folder`/`script`: `texts` by their paths.

    `following` is the module that the page always loads next: its file has all that it needs beyond the
    script. Of other modules, one that a single later part needs is in that part's file, and one that several
    need has its own file. These files end in `.part.js`: a gateway of another release has no such file for
    this page, and sends it no module that it has already.
    Raises ValueError for an import or export that it cannot translate.
    """

    def __init__(self, folder: Path, script: str, following: str = "") -> None:
        self._folder = folder
        self._script = script
        self._codes: dict[str, str] = {}
        self._lines: list[str] = []
        self._waiting: set[str] = set()
        self.modules = self._closure(script, ())
        parts, reached = self._parts()
        self._numbers = {path: number for number, path in enumerate([*self.modules, *reached])}
        members = {script: self.modules}
        if following in parts:
            members[following] = self._closure(following, self.modules)
        placed = {path for paths in members.values() for path in paths}
        shared = [path for path, parts_of in reached.items() if parts_of > 1]
        roots = [*members, *(path for path in (*parts, *shared) if path not in placed)]
        for root in roots[len(members) :]:
            members.setdefault(root, self._closure(root, {*placed, *roots} - {root}))
        self._homes = {path: root for root, paths in members.items() for path in paths}
        self.texts = {self._name(root): self._file(root, paths) for root, paths in members.items()}

    def _parts(self) -> tuple[list[str], Counter[str]]:
        """The parts that are loaded later, and in how many of them each module is that the script lacks."""
        parts: list[str] = []
        reached: Counter[str] = Counter()
        known = list(self.modules)
        for path in known:
            for part in self._later(path):
                if part in parts or part in self.modules or not (self._folder / part).is_file():
                    continue
                parts.append(part)
                needed = self._closure(part, self.modules)
                reached.update(needed)
                known.extend(one for one in needed if one not in known)
        return parts, reached

    def _code(self, path: str) -> str:
        """The module without comments and margins, its texts of several lines put aside."""
        if path not in self._codes:
            code = _TOKEN.sub(self._put_aside, (self._folder / path).read_text(encoding="utf-8"))
            if _WAITS.search(code):
                self._waiting.add(path)
            self._codes[path] = _MARGIN.sub("\n", f"\n{code}")[1:]
        return self._codes[path]

    def _put_aside(self, token: re.Match[str]) -> str:
        if token["comment"]:
            return ""
        if not token["text"] or "\n" not in token["text"]:
            return token[0]
        self._lines.append(token["text"])
        return f"\0{len(self._lines) - 1}\0"

    def _imports(self, path: str) -> list[str]:
        return [_beside(path, name) for _, name in _IMPORT.findall(self._code(path))]

    def _later(self, path: str) -> list[str]:
        return [_beside(path, name) for _, name in _LATER.findall(self._code(path))]

    def _closure(self, path: str, elsewhere: Iterable[str]) -> list[str]:
        """The module and those that it imports, directly or not, each after those that it imports itself."""
        found: list[str] = []

        def visit(path: str, *importing: str) -> None:
            if path in importing:
                raise ValueError(f"{path}: a cyclic import cannot be put into the page's script")
            for imported in self._imports(path):
                if imported not in found and imported not in elsewhere:
                    visit(imported, path, *importing)
            found.append(path)

        visit(path)
        return found

    def _file(self, root: str, paths: list[str]) -> str:
        foreign: dict[str, list[str]] = {}
        for imported in dict.fromkeys(one for path in paths for one in self._imports(path)):
            if self._homes[imported] != root:
                foreign.setdefault(self._homes[imported], []).append(f"${self._numbers[imported]}")
        needed = {self._homes[path] for path in self._closure(root, self.modules)} - {root, *foreign}
        early = [
            f'import "{_from(root, self._name(home))}";\n' for home in sorted(needed)
        ]  # not one after the other
        imports = [
            f'import {{ {", ".join(names)} }} from "{_from(root, self._name(home))}";\n'
            for home, names in foreign.items()
        ]
        bodies = [self._function(path, root) for path in paths]
        exports = f"export {{ {', '.join(f'${self._numbers[path]}' for path in paths)} }};\n"
        names = self._given(root)
        named = f"export const {{ {', '.join(names)} }} = ${self._numbers[root]};\n" if names else ""
        return "".join([*imports, *early, *bodies, exports, named])

    def _given(self, path: str) -> list[str]:
        """The names that a module exports."""
        listed = [name for names in _EXPORTED.findall(self._code(path)) for name in _listed(names)]
        return [*_EXPORT.findall(self._code(path)), *(name.split(" as ")[-1] for name in listed)]

    def _function(self, path: str, root: str) -> str:
        code = _IMPORT.sub(lambda found: self._taken(path, *found.groups()), self._code(path))
        code = _LATER.sub(lambda at: f"import({at[1]}{self._part(path, root, at[2])}{at[1]})", code)
        code = code.replace("import.meta.url", f'new URL("{_from(root, path)}", import.meta.url).href')
        listed = [name for names in _EXPORTED.findall(code) for name in _listed(names)]
        given = _EXPORT.findall(code) + [": ".join(reversed(name.split(" as "))) for name in listed]
        body = _EXPORTED.sub("", _EXPORT.sub("", code))
        if found := _OTHER.search(body):
            raise ValueError(f"{path}: {found[0]!r} cannot be put into the page's script")
        body = _KEPT.sub(lambda kept: self._lines[int(kept[1])], body)
        begin, end = ("await (async () => {", "})();") if path in self._waiting else ("(() => {", "})();")
        value = f"return {{ {', '.join(given)} }};"
        return f"// {path}\nconst ${self._numbers[path]} = {begin}\n{body}{value}\n{end}\n"

    def _part(self, path: str, root: str, name: str) -> str:
        """How the file of `root` refers to what its module `path` loads later."""
        part = _beside(path, name)
        home = self._homes.get(part, part)
        if home != part:
            raise ValueError(f"{path}: import() of {name!r}, which {home} has, cannot be put into it")
        return _from(root, self._name(part) if part in self._homes else part)

    def _name(self, root: str) -> str:
        """The file of a module that has one."""
        return root if root == self._script else f"{root.removesuffix('.js')}.part.js"

    def _taken(self, path: str, names: str, imported: str) -> str:
        given = self._given(_beside(path, imported))
        if missing := [name for name in _listed(names) if name.split(" as ")[0] not in given]:
            raise ValueError(f"{path}: {missing[0]!r} of {imported} cannot be put into the page's script")
        pattern = ", ".join(name.replace(" as ", ": ") for name in _listed(names))
        return f"const {{ {pattern} }} = ${self._numbers[_beside(path, imported)]};\n"


def _beside(path: str, name: str) -> str:
    return os.path.normpath(os.path.join(os.path.dirname(path), name))


def _from(file: str, path: str) -> str:
    """How `file` refers to `path`."""
    relative = os.path.relpath(path, os.path.dirname(file) or ".")
    return relative if relative.startswith(".") else f"./{relative}"


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]
