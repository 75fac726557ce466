"""The shipped profiles add up, and what would not is named."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray import serve
from ray.serve import Deployment

from cluster.checks import accelerators, config
from cluster.checks.placement_check import cards_needed, pools
from cluster.terminal.cli_errors import CliError
from deployments.app import build
from deployments.replicas.placement import at, bound
from schemas.settings import AppSettings
from schemas.settings.placement_settings import Place

ROOT = Path(__file__).parents[3]
PROFILES = ("serve_config.yaml", "cluster/gpu.yaml", "cluster/cluster.yaml")


def tree() -> dict[str, Any]:
    """One card that two engines share, as cluster/gpu.yaml has it, with engines that every version knows."""
    raw: dict[str, Any] = yaml.safe_load((ROOT / "serve_config.yaml").read_text())
    raw["applications"][0]["args"]["placement"] = {
        "cards": 1,
        "card_mb": 24_000,
        "language_model": {"num_gpus": 0.6, "gpu_memory_mb": 14_000},
        "quality_speech_to_text": {"num_gpus": 0.2, "gpu_memory_mb": 4_500, "after_language_model": True},
    }
    return raw


def deployment(raw: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(d for d in raw["applications"][0]["deployments"] if d["name"] == name)
    return found


def place(raw: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = raw["applications"][0]["args"]["placement"][name]
    return found


@pytest.mark.parametrize("file", PROFILES)
def test_every_profile_is_right(file: str) -> None:
    loaded = config.load(ROOT / file)
    profile = loaded.settings.profile
    assert file == "serve_config.yaml" if profile == "laptop" else file == f"cluster/{profile}.yaml"
    assert {one.name for one in loaded.serve.applications[0].deployments} == set(config.DEPLOYMENTS)
    gateway = loaded.serve.applications[0].deployments[0]
    assert gateway.max_surge_percent, "a gateway must be there before another one goes"


def test_a_card_that_is_shared_as_it_should_be_is_right() -> None:
    assert config.findings(tree()) == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda r: place(r, "language_model").update(num_gpus=0.9), "want 1.1 cards, and cards is 1"),
        (lambda r: deployment(r, "LanguageModel").update(num_replicas=2), "want 1.4 cards, and cards is 1"),
        (
            lambda r: place(r, "language_model").update(gpu_memory_mb=15_000),
            "0.62 of the card's memory is more than its share, num_gpus 0.6",
        ),
        (
            lambda r: place(r, "quality_speech_to_text").pop("gpu_memory_mb"),
            "a replica with 0.2 of a card needs a limit to its memory",
        ),
        (
            lambda r: deployment(r, "LanguageModel").update(ray_actor_options={"num_gpus": 0.6}),
            "would hide applications.0.args.placement.language_model",
        ),
        (
            lambda r: deployment(r, "Gateway").update(graceful_shutdown_timeout_s=13),
            "graceful_shutdown_timeout_s: must be 14 or more",
        ),
        (
            lambda r: deployment(r, "Gateway").update(graceful_shutdown_timeout_s="soon"),
            "deployments.0.graceful_shutdown_timeout_s",
        ),
        (
            lambda r: _scale(r, min_replicas=1, max_replicas=4, target_ongoing_requests=32),
            "target_ongoing_requests: must be below max_ongoing_requests (32)",
        ),
        (lambda r: _scale(r, min_replicas=0, max_replicas=4), "min_replicas: must be 1 or more"),
        (lambda r: _scale(r, min_replicas=3, max_replicas=2), "autoscaling_config"),
        (lambda r: _scale(r, min_replicas=1, max_replica=2), "did you mean max_replicas?"),
        (
            lambda r: r["applications"][0]["args"]["placement"].update(languge_model={}),
            "did you mean language_model?",
        ),
    ],
)
def test_numbers_that_do_not_add_up_are_named(spoil: Callable[[dict[str, Any]], None], said: str) -> None:
    raw = tree()
    spoil(raw)
    assert said in "\n".join(map(str, config.findings(raw)))


def _scale(raw: dict[str, Any], **limits: int) -> None:
    model = deployment(raw, "LanguageModel")
    del model["num_replicas"]
    model["autoscaling_config"] = limits


def settings(**placement: Any) -> AppSettings:
    return AppSettings.model_validate({"placement": placement})


def test_a_machine_without_the_cards_says_so_and_how_to_try_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerators, "cards_here", lambda: 0)
    shared = settings(cards=1, language_model={"num_gpus": 0.6}, text_to_speech={"num_gpus": 0.4})
    assert cards_needed(shared) == 1
    with pytest.raises(CliError, match=r"wants 1 NVIDIA card\(s\); this machine shows 0") as refused:
        accelerators.for_this_machine(shared, None)
    assert "--pretend-gpus 1 --scripted" in refused.value.advice
    assert accelerators.for_this_machine(shared, 1).count == 1
    assert accelerators.for_this_machine(settings(), None).count is None
    larger = settings(language_model={"num_gpus": 2, "accelerator": "L4"})
    with pytest.raises(CliError, match="wants 2 cards"):
        accelerators.for_this_machine(larger, 1)
    assert accelerators.for_this_machine(larger, 2).kinds == {"accelerator_type:L4": 1.0}


def test_a_configuration_with_pools_is_sent_to_a_cluster() -> None:
    pooled = settings(language_model={"pool": "llm"}, gateway={"pool": "gateway"})
    assert pools(pooled) == {"llm", "gateway"}
    with pytest.raises(CliError, match="gateway, llm"):
        accelerators.for_this_machine(pooled, None)


def test_a_gateway_is_given_the_time_that_it_takes_to_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = AppSettings.model_validate(
        {"gateway": {"leaving": {"sentence_s": 9, "spread_s": 3, "grace_s": 60}}}
    )
    for settings in (AppSettings(), slow):
        gateway = build(settings)._bound_deployment._deployment_config
        assert gateway.graceful_shutdown_timeout_s > settings.gateway.leaving.longest_s
    assert config.load(ROOT / "serve_config.yaml")
    monkeypatch.setenv("RHAPSODE_GATEWAY__LEAVING__GRACE_S", "80")
    with pytest.raises(CliError, match=r"does not go with the environment:\n.*must be 92 or more"):
        config.load(ROOT / "cluster/cluster.yaml")


def test_a_deployment_that_waits_for_the_language_model_is_otherwise_as_ever() -> None:
    def deployed(*, after: bool) -> Deployment:
        mind = serve.deployment(name="LanguageModel")(Later).bind()
        voice = serve.deployment(
            name="TextToSpeech",
            max_ongoing_requests=7,
            max_queued_requests=9,
            health_check_period_s=3,
            health_check_timeout_s=4,
            graceful_shutdown_wait_loop_s=0.3,
            graceful_shutdown_timeout_s=11,
            max_replicas_per_node=2,
            max_surge_percent=50,
            max_constructor_retry_count=5,
        )(Later)
        placement = settings(text_to_speech={"num_gpus": 0.5, "after_language_model": after}).placement
        found: Deployment = bound(voice, placement, mind)._bound_deployment
        return found

    patient, usual = deployed(after=True), deployed(after=False)
    assert patient._deployment_config == usual._deployment_config
    assert patient.ray_actor_options == usual.ray_actor_options
    assert patient._replica_config.max_replicas_per_node == 2
    assert len(patient.init_args) == 1


class Later:
    """A replica that needs nothing."""


def test_a_place_changes_what_it_says_and_leaves_the_environment() -> None:
    own = {"num_cpus": 0.2, "runtime_env": {"py_executable": "python"}}
    assert at(own, Place()) == own
    assert at(own, Place(num_gpus=0.5, memory_mb=2, pool="llm", accelerator="L4")) == {
        **own,
        "num_gpus": 0.5,
        "memory": 2 * 1024 * 1024,
        "label_selector": {"pool": "llm"},
        "accelerator_type": "L4",
    }
