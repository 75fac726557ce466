"""The files under cluster/kubernetes that follow from others, so that they cannot say something else."""

from collections.abc import Iterator
from pathlib import Path
from textwrap import indent
from typing import Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
KUBERNETES: Final = ROOT / "cluster" / "kubernetes"
OVERLAYS: Final = KUBERNETES / "overlays"
OBSERVABILITY: Final = ROOT / "cluster" / "observability"
PROFILES: Final = {
    "small": OVERLAYS / "small" / "serve_config.yaml",
    "gpu": ROOT / "cluster" / "cluster.yaml",
}
"""Serve configuration of each overlay."""
_MONITORING: Final = KUBERNETES / "components" / "monitoring"


def files() -> Iterator[tuple[Path, str]]:
    """Each file that is written here, and what has to be in it."""
    for overlay, profile in PROFILES.items():
        yield OVERLAYS / overlay / "serve.yaml", _serve(profile)
    rules = sorted(f for f in (OBSERVABILITY / "rules").glob("*.yaml") if ".test." not in f.name)
    dashboards = sorted((OBSERVABILITY / "dashboards").glob("*.json"))
    if rules:
        yield _MONITORING / "rules.yaml", _rules(rules)
    if dashboards:
        yield OBSERVABILITY / "kustomization.yaml", _dashboards(dashboards)
    yield _MONITORING / "kustomization.yaml", _monitoring(bool(rules), bool(dashboards))


def _note(source: str) -> str:
    return f'# Written by "make manifests" from {source}. Do not edit.\n'


def _serve(profile: Path) -> str:
    text = indent(profile.read_text(encoding="utf-8"), "    ", lambda line: bool(line.strip()))
    head = "apiVersion: ray.io/v1\nkind: RayService\nmetadata:\n  name: rhapsode\nspec:\n  serveConfigV2: |\n"
    return _note(str(profile.relative_to(ROOT))) + head + text


def _rules(sources: list[Path]) -> str:
    """Prometheus' own files of rules as one object of its operator."""
    groups = [
        group for source in sources for group in yaml.safe_load(source.read_text(encoding="utf-8"))["groups"]
    ]
    rule = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "rhapsode", "labels": {"app.kubernetes.io/part-of": "rhapsode"}},
        "spec": {"groups": groups},
    }
    return _note("cluster/observability/rules") + yaml.safe_dump(rule, sort_keys=False, width=120)


def _dashboards(sources: list[Path]) -> str:
    """A config map that Grafana's sidecar looks for."""
    component = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "configMapGenerator": [
            {
                "name": "rhapsode-dashboards",
                "files": [f"dashboards/{source.name}" for source in sources],
                "options": {"disableNameSuffixHash": True, "labels": {"grafana_dashboard": "1"}},
            }
        ],
    }
    return _note("the dashboards beside it") + yaml.safe_dump(component, sort_keys=False)


def _monitoring(rules: bool, dashboards: bool) -> str:
    component: dict[str, object] = {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "resources": ["scraping.yaml", *(["rules.yaml"] if rules else [])],
    }
    if dashboards:
        component["components"] = ["../../../observability"]
    about = "# For the Prometheus operator and Grafana's sidecar: what is scraped, rules, dashboards.\n"
    return _note("cluster/observability") + about + yaml.safe_dump(component, sort_keys=False)
