"""One script for a page: a module and everything that it imports, each in a function of its own.

The modules stay as they are written. Parts that are loaded later import from the script what it has already,
so that every module exists once. Only names in braces are imported and exported here.
"""

import os
import re
from pathlib import Path
from typing import Final

_IMPORT: Final = re.compile(r'^import \{([^}]*)\} from "(\.{1,2}/[^"]+)";\n', re.MULTILINE)
_EXPORT: Final = re.compile(r"^export (?=(?:async )?(?:function\*?|class|const) (\w+))", re.MULTILINE)
_EXPORTED: Final = re.compile(r"^export \{([^}]*)\};\n", re.MULTILINE)
_LATER: Final = re.compile(r"\bimport\(([\"`])(\.{1,2}/[^\"`]+)\1\)")
_COMMENT: Final = re.compile(r"^[ ]*(?:/\*\*.*?\*/|//[^\n]*)\n", re.MULTILINE | re.DOTALL)
_WAITS: Final = re.compile(r"^\S.*\bawait\b", re.MULTILINE)


class PageBundle:
    """The script of `folder`/`script`, and the texts of the parts that it loads later, by their paths.

    Raises ValueError for an import or export that it cannot translate, so that a page is never half there.
    """

    def __init__(self, folder: Path, script: str) -> None:
        self._folder = folder
        self._script = script
        self._codes: dict[str, str] = {}
        self.modules: list[str] = []
        self._visit(script)
        bodies = [self._function(path, number) for number, path in enumerate(self.modules)]
        names = ", ".join(f"${number}" for number in range(len(self.modules)))
        self.texts = {script: "".join(bodies) + f"export {{ {names} }};\n"}
        late = [path for module in self.modules for path in self._later(module)]
        for path in late:
            if path not in self.texts and path not in self.modules and (folder / path).is_file():
                self.texts[path] = self._part(path)
                late.extend(self._later(path) + self._imports(path))

    def _code(self, path: str) -> str:
        if path not in self._codes:
            self._codes[path] = _COMMENT.sub("", (self._folder / path).read_text(encoding="utf-8"))
        return self._codes[path]

    def _imports(self, path: str) -> list[str]:
        return [_beside(path, name) for _, name in _IMPORT.findall(self._code(path))]

    def _later(self, path: str) -> list[str]:
        return [_beside(path, name) for _, name in _LATER.findall(self._code(path))]

    def _visit(self, path: str) -> None:
        """Those that a module imports come before it; `modules` is in that order."""
        for imported in self._imports(path):
            if imported not in self.modules:
                self._visit(imported)
        self.modules.append(path)

    def _function(self, path: str, number: int) -> str:
        taken = _IMPORT.sub(lambda found: self._taken(path, *found.groups()), self._code(path))
        taken = _LATER.sub(lambda found: f"import({found[1]}./{_beside(path, found[2])}{found[1]})", taken)
        taken = taken.replace("import.meta.url", f'new URL("{path}", import.meta.url).href')
        given = _EXPORT.findall(taken)
        for names in _EXPORTED.findall(taken):
            given += [_given(name) for name in _listed(names)]
        body = _EXPORTED.sub("", _EXPORT.sub("", taken))
        if found := re.search(r"^(?:import|export)\b(?!\().*", body, re.MULTILINE):
            raise ValueError(f"{path}: {found[0]!r} cannot be put into the page's script")
        waits = ("await (async () => {", "})()") if _WAITS.search(body) else ("(() => {", "})()")
        end = f"return {{ {', '.join(given)} }};\n{waits[1]};\n"
        return f"// {path}\nconst ${number} = {waits[0]}\n{body}{end}"

    def _taken(self, path: str, names: str, imported: str) -> str:
        place = self.modules.index(_beside(path, imported))
        return f"const {{ {', '.join(name.replace(' as ', ': ') for name in _listed(names))} }} = ${place};\n"

    def _part(self, path: str) -> str:
        """A module that is loaded later: it takes from the script what is in there."""
        up = os.path.relpath(self._script, os.path.dirname(path) or ".")
        up = up if up.startswith(".") else f"./{up}"

        def taken(found: re.Match[str]) -> str:
            imported = _beside(path, found[2])
            if imported not in self.modules:
                return found[0]
            number = self.modules.index(imported)
            return f'import {{ ${number} }} from "{up}";\n{self._taken(path, found[1], found[2])}'

        return _IMPORT.sub(taken, self._code(path))


def _beside(path: str, name: str) -> str:
    return os.path.normpath(os.path.join(os.path.dirname(path), name))


def _listed(names: str) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()]


def _given(name: str) -> str:
    """`a as b` as a property: `b: a`."""
    inside, _, outside = name.partition(" as ")
    return f"{outside}: {inside}" if outside else inside
