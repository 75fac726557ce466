"""No pod is more than it must be: not root, not privileged, nothing to write to but its volumes."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cluster.kubernetes.kustomize import Manifest, named
from cluster.kubernetes.pods import Fault, Pods, pods_of


def faults(manifests: Sequence[Manifest]) -> Iterator[Fault]:
    for one in pods_of(manifests):
        yield from _pod(one)
        for container in one.containers:
            yield from _container(f"{one.owner} {container['name']}", container)
    for manifest in manifests:
        if manifest["kind"] == "Secret":
            yield Fault(named(manifest), "secrets are made by the operator, and are in no repository")


def _pod(one: Pods) -> Iterator[Fault]:
    context = one.spec.get("securityContext", {})
    if not context.get("runAsNonRoot") or not context.get("runAsUser"):
        yield Fault(one.owner, "it may run as root")
    if context.get("seccompProfile", {}).get("type") != "RuntimeDefault":
        yield Fault(one.owner, "it has no seccomp profile")
    if one.component != "head" and one.spec.get("automountServiceAccountToken") is not False:
        yield Fault(one.owner, "it is given a token for the API server, which it has no use for")
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if one.spec.get(field):
            yield Fault(one.owner, f"{field} is on")
    if any("hostPath" in volume for volume in one.spec.get("volumes", [])):
        yield Fault(one.owner, "it has a folder of its machine")


def _container(place: str, container: Mapping[str, Any]) -> Iterator[Fault]:
    context = container.get("securityContext", {})
    if context.get("allowPrivilegeEscalation") is not False:
        yield Fault(place, "it may become more than it is")
    if context.get("readOnlyRootFilesystem") is not True:
        yield Fault(place, "it may write into its image")
    if context.get("capabilities", {}).get("drop") != ["ALL"]:
        yield Fault(place, "it keeps capabilities")
    resources = container.get("resources", {})
    if "memory" not in resources.get("limits", {}) or "memory" not in resources.get("requests", {}):
        yield Fault(place, "its memory has no bound")
    _, _, tag = container["image"].rpartition("/")[2].partition(":")
    if "@" not in container["image"] and tag in ("", "latest"):
        yield Fault(place, f"{container['image']} names no version")
