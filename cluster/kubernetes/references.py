"""Reference check: each object that another names exists (labels, ports, secrets, volumes, accounts)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from cluster.kubernetes.kustomize import Manifest, named
from cluster.kubernetes.pods import Fault, Pods, pods_of, selects

Keys = Mapping[str, frozenset[str]]
"""The keys of each secret or config map, by its name."""

_MADE_BY_KUBERAY: Final = "serveService"


def faults(manifests: Sequence[Manifest], secrets: Keys) -> Iterator[Fault]:
    """`secrets`: those that an operator is told to make."""
    pods = pods_of(manifests)
    yield from _selectors(manifests, pods)
    yield from _ingresses(manifests)
    yield from _scraping(manifests, pods)
    settings = keys_of(manifests, "ConfigMap")
    claims = {m["metadata"]["name"] for m in manifests if m["kind"] == "PersistentVolumeClaim"}
    accounts = {m["metadata"]["name"] for m in manifests if m["kind"] == "ServiceAccount"}
    for one in pods:
        yield from _keys(one, "Secret", secrets)
        yield from _keys(one, "ConfigMap", settings)
        yield from _volumes(one, claims)
        if one.spec.get("serviceAccountName") not in accounts:
            yield Fault(one.owner, "its service account is not here")
    for cluster in (m["spec"]["rayClusterConfig"] for m in manifests if m["kind"] == "RayService"):
        yield from _ray_secrets(cluster, secrets)
    for manifest in manifests:
        spec = manifest.get("spec", {})
        for secret in [entry["secretName"] for entry in spec.get("tls", [])]:
            if secret not in secrets:
                yield Fault(named(manifest), f"there is no secret {secret}")
        if manifest["kind"] == "ScrapeConfig":
            ref = spec["authorization"]["credentials"]
            if ref["key"] not in secrets.get(ref["name"], ()):
                yield Fault(named(manifest), f"there is no secret {ref['name']} with the key {ref['key']}")


def keys_of(manifests: Sequence[Manifest], kind: str) -> dict[str, frozenset[str]]:
    """Returns the keys of the config maps, or secrets, among `manifests`."""
    return {
        manifest["metadata"]["name"]: frozenset(
            {**manifest.get("data", {}), **manifest.get("stringData", {})}
        )
        for manifest in manifests
        if manifest["kind"] == kind
    }


def _selectors(manifests: Sequence[Manifest], pods: Sequence[Pods]) -> Iterator[Fault]:
    for manifest in manifests:
        spec, kind = manifest.get("spec", {}), manifest["kind"]
        if kind in ("Service", "PodDisruptionBudget", "PodMonitor", "StatefulSet", "Deployment"):
            hit = [one for one in pods if selects(spec["selector"], one.labels)]
        elif kind == "NetworkPolicy":
            hit = [one for one in pods if selects(spec["podSelector"], one.labels)]
        else:
            continue
        if not hit:
            yield Fault(named(manifest), "it selects no pod that there is")
        if kind == "Service":
            for port in spec["ports"]:
                if any(port["targetPort"] not in one.ports for one in hit):
                    yield Fault(named(manifest), f"the pods have no port {port['targetPort']}")
        if kind == "StatefulSet" and f"Service/{spec['serviceName']}" not in map(named, manifests):
            yield Fault(named(manifest), f"there is no service {spec['serviceName']}")
        if kind == "PodDisruptionBudget":
            yield from _budget(manifest, hit)


def _budget(manifest: Manifest, hit: Sequence[Pods]) -> Iterator[Fault]:
    """A RayCluster has no scale, so Kubernetes cannot count from above or in per cent."""
    of_ray = any(one.owner.startswith("RayService/") for one in hit)
    if of_ray and not isinstance(manifest["spec"].get("minAvailable"), int):
        yield Fault(named(manifest), "for pods of Ray only a whole minAvailable works")


def _ingresses(manifests: Sequence[Manifest]) -> Iterator[Fault]:
    services = {m["metadata"]["name"]: m["spec"] for m in manifests if m["kind"] == "Service"}
    for manifest in manifests:
        if made := manifest.get("spec", {}).get(_MADE_BY_KUBERAY):
            services[made["metadata"]["name"]] = made["spec"]
    for manifest in (m for m in manifests if m["kind"] == "Ingress"):
        for rule in manifest["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                wanted = path["backend"]["service"]
                ports = {port["name"] for port in services.get(wanted["name"], {}).get("ports", [])}
                if wanted["port"]["name"] not in ports:
                    yield Fault(named(manifest), f"there is no {wanted['name']}:{wanted['port']['name']}")


def _scraping(manifests: Sequence[Manifest], pods: Sequence[Pods]) -> Iterator[Fault]:
    for manifest in (m for m in manifests if m["kind"] == "PodMonitor"):
        ports = {
            port for one in pods if selects(manifest["spec"]["selector"], one.labels) for port in one.ports
        }
        for endpoint in manifest["spec"]["podMetricsEndpoints"]:
            if endpoint["port"] not in ports:
                yield Fault(named(manifest), f"no pod has the port {endpoint['port']}")


def _keys(one: Pods, kind: str, known: Keys) -> Iterator[Fault]:
    """References to config maps or secrets, and to single keys of theirs."""
    source, pointer, volume, name = {
        "Secret": ("secretRef", "secretKeyRef", "secret", "secretName"),
        "ConfigMap": ("configMapRef", "configMapKeyRef", "configMap", "name"),
    }[kind]
    wanted: list[tuple[str, set[str]]] = []
    for container in one.containers:
        wanted += [(e[source]["name"], set()) for e in container.get("envFrom", []) if source in e]
        refs = [entry.get("valueFrom", {}).get(pointer) for entry in container.get("env", [])]
        wanted += [(ref["name"], {ref["key"]}) for ref in refs if ref]
    for held in (v[volume] for v in one.spec.get("volumes", []) if volume in v):
        wanted.append((held[name], {item["key"] for item in held.get("items", [])}))
    for which, keys in wanted:
        if which not in known:
            yield Fault(one.owner, f"there is no {kind} {which}")
        elif lost := sorted(keys - known[which]):
            yield Fault(one.owner, f"{kind} {which} has no key {', '.join(lost)}")


def _volumes(one: Pods, claims: set[str]) -> Iterator[Fault]:
    volumes = {volume["name"] for volume in one.spec.get("volumes", [])} | one.claims
    for container in one.containers:
        for mount in container.get("volumeMounts", []):
            if mount["name"] not in volumes:
                yield Fault(one.owner, f"there is no volume {mount['name']}")
    for volume in one.spec.get("volumes", []):
        claim = volume.get("persistentVolumeClaim", {}).get("claimName")
        if claim is not None and claim not in claims:
            yield Fault(one.owner, f"there is no claim {claim}")


def _ray_secrets(cluster: Mapping[str, Any], secrets: Keys) -> Iterator[Fault]:
    ref = cluster["gcsFaultToleranceOptions"]["redisPassword"]["valueFrom"]["secretKeyRef"]
    wanted = {ref["name"]: ref["key"], cluster["authOptions"]["secretName"]: "auth_token"}
    for name, key in wanted.items():
        if key not in secrets.get(name, ()):
            yield Fault("RayService", f"there is no secret {name} with the key {key}")
