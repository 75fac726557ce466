"""The manifests are what a cluster accepts, and say what the profile and the other files say."""

import json
import shutil
import subprocess
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import yaml

from cluster.kubernetes import network, overlay_checks, references, safety, serving, shapes
from cluster.kubernetes.generated import OVERLAYS
from cluster.kubernetes.kustomize import Manifest, named
from deployments.app_settings import load_settings

Edit = Callable[[dict[str, Manifest]], object]


@pytest.fixture(scope="module")
def gpu() -> list[Manifest]:
    return overlay_checks.rendered("gpu")


def test_generated_manifests_are_current() -> None:
    assert [str(fault) for fault in overlay_checks.out_of_date()] == [], 'run "make manifests"'


@pytest.mark.parametrize("overlay", overlay_checks.NAMES)
def test_an_overlay_is_right_from_all_sides(overlay: str) -> None:
    assert [str(fault) for fault in overlay_checks.faults(overlay)] == []


@pytest.mark.parametrize("overlay", overlay_checks.NAMES)
def test_it_is_rendered_as_kustomize_itself_does(overlay: str) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("there is no kubectl to compare with")
    said = subprocess.run(
        [kubectl, "kustomize", str(OVERLAYS / overlay)], capture_output=True, check=True, text=True
    )
    theirs = {named(manifest): manifest for manifest in yaml.safe_load_all(said.stdout)}
    assert {named(manifest): manifest for manifest in overlay_checks.rendered(overlay)} == theirs


@pytest.mark.parametrize("overlay", overlay_checks.NAMES)
def test_the_variables_of_an_overlay_are_settings(overlay: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {named(manifest): manifest for manifest in overlay_checks.rendered(overlay)}
    variables = dict(found["ConfigMap/rhapsode-settings"]["data"])
    variables |= next(s for s in overlay_checks.secrets() if named(s) == "Secret/rhapsode-environment")[
        "stringData"
    ]
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    profile = yaml.safe_load(found["RayService/rhapsode"]["spec"]["serveConfigV2"])
    settings = load_settings(profile["applications"][0]["args"])
    assert settings.log.url is not None
    assert str(settings.auth.keys_file) == "/etc/rhapsode/access/keys.jsonl"
    archive = variables.get("RHAPSODE_ARCHIVE__OPTIONS")
    assert settings.archive.options == (json.loads(archive) if archive else {})


def _ray(found: dict[str, Manifest]) -> Any:
    return found["RayService/rhapsode"]["spec"]["rayClusterConfig"]


def _llm(found: dict[str, Manifest]) -> Any:
    return _ray(found)["workerGroupSpecs"][1]


def _drop_policy(name: str) -> Edit:
    return lambda found: found.pop(f"NetworkPolicy/{name}")


def _served(change: Callable[[Any], object]) -> Edit:
    def edit(found: dict[str, Manifest]) -> None:
        spec = found["RayService/rhapsode"]["spec"]
        profile = yaml.safe_load(spec["serveConfigV2"])
        change(profile)
        spec["serveConfigV2"] = yaml.safe_dump(profile)

    return edit


def _deployment(profile: Any, name: str) -> Any:
    return next(one for one in profile["applications"][0]["deployments"] if one["name"] == name)


MISTAKES: dict[str, tuple[Edit, str]] = {
    "a field that KubeRay does not know": (lambda f: _llm(f).update(maxreplicas=3), "maxreplicas"),
    "a field that Kubernetes does not know": (
        lambda f: f["StatefulSet/log"]["spec"].update(replica=3),
        "replica",
    ),
    "a kind without a schema": (lambda f: f["Ingress/rhapsode"].update(kind="Ingres"), "no schema"),
    "a secret that nobody makes": (
        lambda f: _ray(f)["authOptions"].update(secretName="ray"),
        "no secret ray",
    ),
    "a volume that is not claimed": (lambda f: f.pop("PersistentVolumeClaim/weights"), "no claim weights"),
    "settings that are gone": (lambda f: f.pop("ConfigMap/rhapsode-settings"), "ConfigMap rhapsode-settings"),
    "labels that no selector knows": (
        lambda f: f["StatefulSet/log"]["spec"]["template"]["metadata"]["labels"].clear(),
        "Service/log: it selects no pod",
    ),
    "a port that no pod has": (
        lambda f: f["Service/documents"]["spec"]["ports"][0].update(targetPort="sql"),
        "no port sql",
    ),
    "an Ingress to nowhere": (
        lambda f: f["RayService/rhapsode"]["spec"].pop("serveService"),
        "no rhapsode-serve-svc:serve",
    ),
    "a budget that cannot be counted": (
        lambda f: f["PodDisruptionBudget/gateway"]["spec"].update(minAvailable="50%"),
        "only a whole minAvailable",
    ),
    "a pod that may be root": (
        lambda f: _llm(f)["template"]["spec"]["securityContext"].pop("runAsUser"),
        "may run as root",
    ),
    "an image of no version": (
        lambda f: _llm(f)["template"]["spec"]["containers"][0].update(image="rhapsode-llm"),
        "names no version",
    ),
    "a log that gateways cannot reach": (_drop_policy("gateway-to-log"), "gateway cannot reach log:6379"),
    "an operator that may be anywhere": (
        lambda f: f["NetworkPolicy/operator"]["spec"]["ingress"][0]["from"][0].update(namespaceSelector={}),
        "a pod with KubeRay's label elsewhere can reach head:8265",
    ),
    "a namespace that is open": (_drop_policy("nothing-unless-named"), "can reach"),
    "a cluster whose servers do not meet": (
        _drop_policy("log-among-themselves"),
        "log cannot reach log:16379",
    ),
    "a profile with a misspelt key": (
        _served(lambda p: _deployment(p, "Gateway").update(max_ongoing_request=5)),
        "max_ongoing_requests",
    ),
    "a model that no pod is large enough for": (
        lambda f: _llm(f)["rayStartParams"].update({"num-gpus": "0"}),
        "LanguageModel: no group of pods has",
    ),
    "more models than there can be pods": (
        _served(lambda p: _deployment(p, "LanguageModel").update(autoscaling_config=None, num_replicas=90)),
        "pods have not the",
    ),
    "a pod that goes before its sessions": (
        lambda f: _ray(f)["workerGroupSpecs"][0]["template"]["spec"].update(terminationGracePeriodSeconds=30),
        "are too few",
    ),
    "work on the head": (
        lambda f: _ray(f)["headGroupSpec"]["rayStartParams"].update({"num-cpus": "4"}),
        "num-cpus must be 0",
    ),
    "a variable that is no setting": (
        lambda f: f["ConfigMap/rhapsode-settings"]["data"].update(RHAPSODE_ARCHIV__URL="x"),
        "RHAPSODE_ARCHIV__URL",
    ),
    "addresses that look like settings": (
        lambda f: _llm(f)["template"]["spec"].pop("enableServiceLinks"),
        "enableServiceLinks",
    ),
    "settings that differ between pods": (
        lambda f: _llm(f)["template"]["spec"]["containers"][0]["envFrom"].pop(),
        "other settings than the head",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_found(mistake: str, gpu: list[Manifest]) -> None:
    found = {named(manifest): manifest for manifest in deepcopy(gpu)}
    edit, said = MISTAKES[mistake]
    edit(found)
    manifests = list(found.values())
    known = references.keys_of(overlay_checks.secrets(), "Secret")
    faults = [
        *shapes.misfits(manifests, shapes.VERSIONS[-1:]),
        *(references.faults(manifests, known) if "schema" not in said else ()),
        *safety.faults(manifests),
        *network.faults(manifests),
        *serving.faults(manifests, known),
    ]
    assert said in "\n".join(map(str, faults))
