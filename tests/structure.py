"""Counts of the structure of the tree: `make structure` prints them, and tests/test_layout.py bounds them.

Packages, cycles and imports come from grimp's import graph; names, sizes and docstrings from syntax trees.
`--prompt` also answers one prompt with scripted engines and counts the modules that it passes.
"""

import argparse
import ast
import re
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import chain
from pathlib import Path
from types import FrameType
from typing import Any, Final

import grimp

ROOT: Final = Path(__file__).resolve().parent.parent
PRODUCT: Final = ("schemas", "pipeline", "deployments", "cluster")
PACKAGES: Final = (*PRODUCT, "loadtests")
_NO_SUBJECT: Final = re.compile(
    r"(who|what|where|whoever|whatever|nobody|somebody|whose|whom)\b", re.IGNORECASE
)
_STRING_WITHOUT_SUBJECT: Final = re.compile(
    rf"""^\s*r?["']+\s*{_NO_SUBJECT.pattern}""", re.IGNORECASE | re.MULTILINE
)


@dataclass(frozen=True)
class Module:
    """One Python file: its path below the root, and its text."""

    path: Path
    text: str

    @property
    def lines(self) -> int:
        return len(self.text.splitlines())

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree; parsing all modules takes seconds."""
        return ast.parse(self.text)


def modules(*packages: str) -> tuple[Module, ...]:
    """Every module of the packages, in the order of their paths."""
    return tuple(chain.from_iterable(map(_modules_of, packages)))


@cache
def _modules_of(package: str) -> tuple[Module, ...]:
    paths = sorted((ROOT / package).rglob("*.py"))
    return tuple(Module(path.relative_to(ROOT), path.read_text(encoding="utf-8")) for path in paths)


@cache
def _edges() -> Mapping[str, frozenset[str]]:
    """Which package imports which: an edge between a package and its own parent does not count."""
    graph = grimp.build_graph(*PACKAGES)
    packages = {name for name in graph.modules if graph.find_children(name)}
    edges: dict[str, set[str]] = defaultdict(set)
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            one, other = (
                name if name in packages else name.rpartition(".")[0] for name in (importer, imported)
            )
            if one != other and not one.startswith(f"{other}.") and not other.startswith(f"{one}."):
                edges[one].add(other)
    return {one: frozenset(others) for one, others in edges.items()}


def cycles(edges: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Strongly connected components of two nodes or more (Tarjan, 1972)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in edges.get(node, ()):
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            at = stack.index(node)
            found.append(sorted(stack[at:]))
            del stack[at:]

    for node in sorted(edges):
        if node not in index:
            visit(node)
    return sorted(component for component in found if len(component) > 1)


def package_cycles() -> list[list[str]]:
    """Groups of packages that import each other, sub-packages counted as packages of their own."""
    return cycles(_edges())


def pipeline_cycles() -> list[list[str]]:
    """Groups of top-level packages of pipeline/ that import each other."""
    edges: dict[str, set[str]] = defaultdict(set)
    for one, others in _edges().items():
        for other in others:
            if one.startswith("pipeline.") and other.startswith("pipeline."):
                top, below = one.split(".")[1], other.split(".")[1]
                if top != below:
                    edges[top].add(below)
    return cycles(edges)


def folders() -> Counter[str]:
    """Modules that lie in each folder, `__init__` and `__main__` not counted."""
    return Counter(
        str(module.path.parent)
        for module in modules(*PACKAGES)
        if module.path.stem not in ("__init__", "__main__")
    )


def _repeated(pairs: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    places: dict[str, list[str]] = defaultdict(list)
    for name, place in pairs:
        places[name].append(place)
    return {name: where for name, where in sorted(places.items()) if len(where) > 1}


def repeated_classes() -> dict[str, list[str]]:
    """Public class names that are defined in more than one module, and where."""
    return _repeated(
        (node.name, str(module.path))
        for module in modules(*PACKAGES)
        for node in module.tree.body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )


def repeated_modules() -> dict[str, list[str]]:
    """Module names that occur more than once, `__init__` and `__main__` not counted."""
    return _repeated(
        (module.path.stem, str(module.path))
        for module in modules(*PACKAGES)
        if module.path.stem not in ("__init__", "__main__")
    )


def without_subject() -> list[str]:
    """Docstrings that begin with who, what, where, whoever, nobody or somebody: `path:line`."""
    return [
        f"{module.path}:{getattr(node, 'lineno', 1)}"
        for module in modules(*PACKAGES, "tests")
        if "browser" not in module.path.parts  # the tests of the page are changed together with the page
        and _STRING_WITHOUT_SUBJECT.search(module.text)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and _NO_SUBJECT.match(ast.get_docstring(node) or "")
    ]


def large_classes(lines: int) -> list[str]:
    """Classes longer than `lines` lines."""
    return [
        f"{module.path} {node.name} {length}"
        for module in modules(*PACKAGES)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ClassDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > lines
    ]


def lines_of(package: str) -> int:
    return sum(module.lines for module in modules(package))


class _Passed:
    """Collects the modules and functions of the product whose code runs in any thread."""

    def __init__(self) -> None:
        self.functions: set[tuple[str, str]] = set()
        self.on = False

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        if self.on and event == "call":
            self.functions.add((frame.f_code.co_filename, frame.f_code.co_qualname))

    def modules(self) -> list[str]:
        """Paths below the root of the product's modules that were passed, sorted."""
        below = {
            str(Path(file).relative_to(ROOT))
            for file, _ in self.functions
            if file.startswith(f"{ROOT}/") and Path(file).relative_to(ROOT).parts[0] in PRODUCT
        }
        return sorted(below)


def prompt_path(home: Path) -> list[str]:
    """Modules that run between a typed prompt and its last sound, with scripted engines and a real log."""
    from tests.structure_prompt import answer_one_prompt  # starts servers; nothing else here needs them

    passed = _Passed()
    threading.setprofile(passed)
    try:
        answer_one_prompt(home, passed)
    finally:
        threading.setprofile(None)
    return passed.modules()


def _report() -> Iterator[str]:
    tops = pipeline_cycles()
    yield f"packages of pipeline/ in an import cycle: {sum(map(len, tops))} {tops or ''}"
    below = package_cycles()
    yield f"packages and sub-packages in an import cycle: {sum(map(len, below))}"
    yield from (f"    {' <-> '.join(cycle)}" for cycle in below)
    flat = {folder: count for folder, count in folders().items() if count > 15}
    yield f"folders with more than 15 modules: {len(flat)} {flat or ''}"
    for title, found in (("class", repeated_classes()), ("module", repeated_modules())):
        yield f"public {title} names used more than once: {len(found)}"
        yield from (f"    {name}: {', '.join(places)}" for name, places in found.items())
    yield f"docstrings without a subject: {len(without_subject())}"
    large = large_classes(200)
    yield f"classes over 200 lines: {len(large)}"
    yield from (f"    {name}" for name in large)
    for package in (*PACKAGES, "tests"):
        yield f"{package + '/':<14}{lines_of(package):>8} lines {len(modules(package)):>5} modules"
        subfolders = Counter[str]()
        for module in modules(package):
            if len(module.path.parts) > 2:
                subfolders[module.path.parts[1]] += module.lines
        yield from (f"    {name + '/':<22}{lines:>6}" for name, lines in sorted(subfolders.items()))
    yield f"product: {sum(map(lines_of, PRODUCT))} lines"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--prompt", metavar="FOLDER", type=Path, help="answer one prompt, its log in a new folder"
    )
    options = parser.parse_args()
    sys.stdout.writelines(f"{line}\n" for line in _report())
    if options.prompt is not None:
        path = prompt_path(options.prompt)
        packages = sorted({str(Path(module).parent) for module in path})
        sys.stdout.write(f"a prompt passes {len(path)} modules in {len(packages)} packages\n")
        sys.stdout.writelines(f"    {module}\n" for module in path)


if __name__ == "__main__":
    main()
