"""Nothing whose licence is not permissive, and no weight, comes in without being told in docs/licences.md."""

import base64
import re
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, distribution, metadata

import pytest

from tests.test_layout import ROOT

DOCUMENT = (ROOT / "docs" / "licences.md").read_text("utf-8")
PINS = ("runtime.txt", "weights.txt", "piper.txt")
PERMISSIVE = re.compile(
    r"\b(MIT|MIT-0|0?BSD|Apache|ISC|PSF|Python Software Foundation|Zlib|CC0)", re.IGNORECASE
)
NOT_PERMISSIVE = re.compile(
    r"GPL|Lesser|MPL|Mozilla|EPL|CDDL|EUPL|SSPL|CC-BY|CPML|Commercial|Proprietary|Other/", re.IGNORECASE
)
OF_WEIGHTS = {".part1", ".part2", ".bin", ".onnx", ".gguf", ".safetensors", ".pt", ".pth"}
LARGE_BYTES = 1_000_000


def pinned() -> dict[str, str]:
    """Every package that an installation has, with the file that pins it."""
    found = {}
    for file in PINS:
        for name in re.findall(
            r"^([a-z0-9][a-z0-9._-]*)==", (ROOT / "requirements" / file).read_text(), re.M
        ):
            found[name] = file
    return found


def licence(name: str) -> str:
    """As its own metadata say, in all the places where they may."""
    told = metadata(name)
    classifiers = [one for one in told.get_all("Classifier") or () if one.startswith("License ::")]
    first_line = (told.get("License") or "").strip().partition("\n")[0]
    return " ".join([told.get("License-Expression") or "", first_line, *classifiers]).strip()


def installed(name: str) -> bool:
    try:
        metadata(name)
    except PackageNotFoundError:
        return False
    return True


def is_told(name: str) -> bool:
    return f"| `{name}` |" in DOCUMENT


def faults(licences: dict[str, str]) -> list[str]:
    """Packages whose licence is not plainly permissive, and which the document does not tell."""
    return [
        f"{name}: {text or 'no licence'}"
        for name, text in licences.items()
        if (NOT_PERMISSIVE.search(text) or not PERMISSIVE.search(text)) and not is_told(name)
    ]


def test_every_dependency_that_is_not_permissive_is_told() -> None:
    licences = {name: licence(name) for name in pinned() if installed(name)}
    assert len(licences) > 100
    assert faults(licences) == []


@pytest.mark.parametrize(
    "text", ["GPL-3.0-or-later", "MIT AND LGPL-2.1-only", "MPL-2.0", "", "Other/Proprietary License", "CPML"]
)
def test_another_one_would_fail(text: str) -> None:
    assert faults({"something-new": text}) == [f"something-new: {text or 'no licence'}"]


def test_nothing_is_told_that_is_not_there() -> None:
    told = set(re.findall(r"^\| `([a-z0-9-]+)` \|", DOCUMENT, re.MULTILINE))
    assert told <= set(pinned())


def test_every_weight_is_told_with_its_checksum() -> None:
    found = 0
    for name in pinned():
        for file in (distribution(name).files or ()) if installed(name) else ():
            if file.suffix in OF_WEIGHTS and (file.size or 0) > LARGE_BYTES and "piper" not in file.parts:
                assert file.hash is not None
                digest = base64.urlsafe_b64decode(file.hash.value + "==").hex()
                assert f"`{file.name}` `{digest}`" in DOCUMENT, f"{name}: {file}"
                found += 1
    assert found >= 9


def test_the_notice_names_what_the_document_names() -> None:
    notice = (ROOT / "NOTICE").read_text("utf-8")
    for name in re.findall(r"^\| `([a-z0-9-]+)` \|", DOCUMENT, re.MULTILINE):
        assert name in notice, name
    assert "non-commercial" in notice


def test_every_library_of_the_page_is_told_with_its_bytes() -> None:
    files = [file for file in (ROOT / "web" / "vendor").iterdir() if not file.name.endswith(".LICENSE.txt")]
    told = [f"`{file.name}` `{sha256(file.read_bytes()).hexdigest()}`" in DOCUMENT for file in files]
    assert files
    assert all(told), files
