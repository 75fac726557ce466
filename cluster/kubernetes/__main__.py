"""`python -m cluster.kubernetes`: writes the generated files, then renders and checks every overlay.

`--check` writes nothing. `--render NAME` shows an overlay, as `kubectl kustomize` would.
"""

import sys
from typing import Annotated

import typer
import yaml

from cluster.kubernetes.generated import ROOT, files
from cluster.kubernetes.kustomize import Manifest, Unrenderable
from cluster.kubernetes.overlay_checks import NAMES, faults, out_of_date, rendered
from schemas.export import stale

_FIRST = ("Namespace", "ServiceAccount", "ConfigMap", "PersistentVolumeClaim", "NetworkPolicy", "Service")


def main(
    check: Annotated[bool, typer.Option("--check", help="Write nothing.")] = False,
    render: Annotated[str | None, typer.Option("--render", help="Show this overlay.")] = None,
) -> None:
    """Write, render and check what is under cluster/kubernetes."""
    try:
        if render is not None:
            manifests = sorted(rendered(render), key=_order)
            sys.stdout.write(yaml.safe_dump_all(manifests, sort_keys=False, width=120))
            return
        written = [] if check else stale(dict(files()), write=True)
        for file in written:
            typer.echo(f"written: {file.relative_to(ROOT)}")
        wrong = [f"{fault}" for fault in out_of_date()]
        for overlay in NAMES:
            found = [f"{overlay}: {fault}" for fault in faults(overlay)]
            typer.echo(f"{overlay}: {len(rendered(overlay))} objects, {len(found)} faults")
            wrong += found
    except (Unrenderable, OSError) as error:
        wrong = [str(error)]
    for line in wrong:
        typer.echo(line, err=True)
    sys.exit(bool(wrong))


def _order(manifest: Manifest) -> tuple[int, str]:
    """Sorts manifests so that needed ones come first."""
    kind = manifest["kind"]
    return _FIRST.index(kind) if kind in _FIRST else len(_FIRST), manifest["metadata"]["name"]


if __name__ == "__main__":
    typer.run(main)
