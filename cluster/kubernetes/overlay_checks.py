"""Every overlay, rendered and looked at from all sides."""

from collections.abc import Iterator
from typing import Final

import yaml

from cluster.kubernetes import network, references, safety, serving, shapes
from cluster.kubernetes.generated import KUBERNETES, OVERLAYS, ROOT, files
from cluster.kubernetes.kustomize import Manifest, render
from cluster.kubernetes.pods import Fault
from schemas.export import stale

NAMES: Final = ("small", "gpu")
EXAMPLE: Final = KUBERNETES / "examples" / "secrets.yaml"


def rendered(overlay: str) -> list[Manifest]:
    return render(OVERLAYS / overlay)


def secrets() -> list[Manifest]:
    """Those that an operator is told to make."""
    return list(yaml.safe_load_all(EXAMPLE.read_text(encoding="utf-8")))


def faults(overlay: str) -> Iterator[Fault]:
    """Yields the faults of one overlay. Raises Unrenderable."""
    manifests, known = rendered(overlay), references.keys_of(secrets(), "Secret")
    yield from shapes.misfits([*manifests, *secrets()])
    yield from references.faults(manifests, known)
    yield from safety.faults(manifests)
    yield from network.faults(manifests)
    yield from serving.faults(manifests, known)


def out_of_date() -> Iterator[Fault]:
    for file in stale(dict(files()), write=False):
        yield Fault(str(file.relative_to(ROOT)), 'it does not follow from its source; run "make manifests"')
