"""The tree itself: what is imported is ours, modules stay small, nothing names a machine or a host."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from cluster import documents
from schemas import export
from tests import structure

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("schemas", "pipeline", "deployments", "cluster", "loadtests")
MODULE_LINES = 600
FUNCTION_LINES = 50
CLASS_LINES = 200
FOLDER_MODULES = 15
# What is left of the old structure. This number and these names only ever go down.
LARGE_CLASSES = 9
MODULES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
FOREIGN = (
    # Put together here, so that this file does not find itself.
    "/" + "work/",
    "/" + "tmp/w/",
    "/" + "root/",
    "/home/" + "user",
    "py" + "pi.org",
    "python" + "hosted.org",
    "npm" + "js.org",
    "--index" + "-url",
    "--find" + "-links",
)


@pytest.mark.parametrize("package", PACKAGES)
def test_the_package_that_is_imported_is_the_one_in_this_tree(package: str) -> None:
    found = import_module(package).__file__
    assert found is not None
    assert Path(found).parent == ROOT / package


@cache
def by_path() -> dict[Path, structure.Module]:
    return {module.path: module for module in structure.modules(*PACKAGES)}


def test_modules_that_build_the_application_import_no_face() -> None:
    """Serve builds it in a process of its own, which would take two seconds longer and keep 100 MB more."""
    building = ("deployments.app", "deployments.observability", "deployments.replicas", "deployments.rpc")
    for path in (path for path in by_path() if ".".join(path.with_suffix("").parts).startswith(building)):
        imports = [each for each in by_path()[path].tree.body if isinstance(each, ast.ImportFrom)]
        ours = {each.module for each in imports if each.module and each.module.startswith("deployments.")}
        others = {name for name in ours if not name.startswith(building)}
        assert others <= {"deployments.web.spool"}, path


def test_modules_say_what_they_are_for_and_stay_small() -> None:
    assert sorted(by_path()) == [module.relative_to(ROOT) for module in MODULES]
    found = []
    for path, module in by_path().items():
        if not ast.get_docstring(module.tree):
            found.append(f"{path}: one sentence at the top: what is it for?")
        if module.lines > MODULE_LINES:
            found.append(f"{path} has {module.lines} lines")
        for node in ast.walk(module.tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or 0) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    found.append(f"{path}: {node.name} has {lines} lines")
    assert found == []


def test_modules_of_tests_stay_small() -> None:
    lines = {module: len(module.read_text(encoding="utf-8").splitlines()) for module in TESTS}
    assert [str(module) for module in TESTS if lines[module] > MODULE_LINES] == [], "split it by its themes"


def test_packages_of_the_pipeline_do_not_import_each_other_in_a_circle() -> None:
    assert structure.pipeline_cycles() == []


def test_packages_and_sub_packages_do_not_import_each_other_in_a_circle() -> None:
    assert structure.package_cycles() == []


def test_a_cycle_of_packages_is_found() -> None:
    assert structure.cycles({"a": ["b"], "b": ["c", "d"], "c": ["a"], "d": []}) == [["a", "b", "c"]]


def test_a_folder_holds_few_modules() -> None:
    assert [name for name, count in structure.folders().items() if count > FOLDER_MODULES] == []


def test_public_names_are_used_once() -> None:
    assert not structure.repeated_classes()
    assert structure.repeated_modules() == {}


def test_classes_stay_small() -> None:
    assert len(structure.large_classes(CLASS_LINES)) <= LARGE_CLASSES


def test_docstrings_begin_with_a_subject() -> None:
    assert structure.without_subject() == []


def tracked_paths() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in filter(None, listed.stdout.split("\0"))]


def tracked() -> Iterator[Path]:
    return (path for path in tracked_paths() if path.is_file())


def test_no_tracked_file_names_a_machine_or_a_package_host() -> None:
    found = []
    for path in tracked():
        content = path.read_bytes()
        if b"\0" in content[:1024]:
            continue
        text = content.decode("utf-8")
        found += [f"{path.relative_to(ROOT)}: {word}" for word in FOREIGN if word in text]
    assert found == []


def test_no_tracked_link_leads_out_of_the_tree() -> None:
    links = [path for path in tracked_paths() if path.is_symlink()]
    assert not [path for path in links if path.readlink().is_absolute()]


def test_no_tracked_file_is_large() -> None:
    large = [path.name for path in tracked() if path.stat().st_size > 1_000_000]
    assert large == []


def test_generated_files_are_current() -> None:
    files = {ROOT / name: text for name, text in documents.files().items()}
    assert export.stale(files, write=False) == [], 'run "make schemas"'


def test_the_makefile_explains_itself() -> None:
    said = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for target in ("run", "test", "test-fast", "bench", "check", "fmt", "schemas", "clean"):
        assert f"make {target} " in said.stdout


def test_imports_flow_one_way() -> None:
    checked = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout
