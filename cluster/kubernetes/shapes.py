"""Holds each object against the schema of its kind: Kubernetes' own, and ours for KubeRay and Prometheus."""

import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from cluster.kubernetes.kustomize import Manifest, named
from cluster.kubernetes.pods import Fault

VERSIONS: Final = ("1.33.0", "1.37.0")
"""The oldest Kubernetes that we say it runs on, and the newest whose schemas we have."""
_OURS: Final = Path(__file__).with_name("crds.yaml")


def misfits(manifests: Sequence[Manifest], versions: Sequence[str] = VERSIONS) -> Iterator[Fault]:
    """Every object that is not as its kind says, for any of the versions; unknown fields count."""
    for version in versions:
        for manifest in manifests:
            validator = _validator(manifest["apiVersion"], manifest["kind"], version)
            if validator is None:
                message = f"there is no schema of {manifest['apiVersion']} {manifest['kind']}"
                yield Fault(named(manifest), f"{message} (Kubernetes {version})")
            elif worst := best_match(validator.iter_errors(manifest)):
                place = ".".join(str(part) for part in worst.absolute_path)
                yield Fault(f"{named(manifest)} {place}", f"{worst.message} (Kubernetes {version})")


@cache
def _validator(api: str, kind: str, version: str) -> Draft202012Validator | None:
    registry = _registry(version)
    own = yaml.safe_load(_OURS.read_text(encoding="utf-8"))
    if kind in own:
        return Draft202012Validator(own[kind], registry=registry)
    group, _, number = api.rpartition("/")
    stem = re.sub(r"\..*", "", group)
    name = "-".join(part for part in (kind.lower(), stem, number) if part)
    file = _folder(version) / f"{name}.json"
    if not file.is_file():
        return None
    return Draft202012Validator(_nameless(json.loads(file.read_text(encoding="utf-8"))), registry=registry)


@cache
def _registry(version: str) -> Registry[Any]:
    types = json.loads((_folder(version) / "_definitions.json").read_text(encoding="utf-8"))
    resource = Resource.from_contents(_nameless(types), default_specification=DRAFT202012)
    names = ("_definitions.json", "/api/_definitions.json")
    return Registry().with_resources((name, resource) for name in names).crawl()


def _nameless(schema: dict[str, Any]) -> dict[str, Any]:
    """Without the address that a schema gives itself: what it refers to would be looked for there."""
    return {key: value for key, value in schema.items() if key not in ("$id", "$schema")}


def _folder(version: str) -> Path:
    """Schemas in which an unknown field is an error, from a package of data that is among our tools."""
    folder = f"v{version}-local-strict"
    return Path(str(files("kubernetes_validate").joinpath("kubernetes-json-schema", folder)))
