"""serve_config.yaml: what is misspelt is named, what is shipped is right."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.serve.schema import ServeDeploySchema

from cluster.checks import config, exposure
from cluster.terminal.cli_errors import CliError
from deployments.app import build
from deployments.app_settings import load_settings
from schemas.settings import AppSettings

ROOT = Path(__file__).parents[3]
FILE = ROOT / "serve_config.yaml"
TEXT = FILE.read_text(encoding="utf-8")


@pytest.fixture
def refusal(tmp_path: Path) -> Callable[[str], str]:
    def refuse(text: str) -> str:
        file = tmp_path / "config.yaml"
        file.write_text(text, encoding="utf-8")
        with pytest.raises(CliError) as refused:
            config.load(file)
        return str(refused.value)

    return refuse


def test_the_shipped_file_passes_and_carries_our_settings() -> None:
    loaded = config.load(FILE)
    assert isinstance(loaded.settings, AppSettings)
    assert loaded.application == "rhapsode"
    assert {deployment.name for deployment in loaded.serve.applications[0].deployments} == set(
        config.DEPLOYMENTS
    )


def test_the_shipped_file_listens_on_this_machine_only_and_cuts_nobody() -> None:
    options = ServeDeploySchema.model_validate(yaml.safe_load(TEXT)).http_options
    assert (options.host, options.port, options.request_timeout_s) == ("127.0.0.1", 8000, None)


def test_the_shipped_file_repeats_the_environment_that_the_code_gives_its_deployments() -> None:
    """Ray lets `ray_actor_options` of the file replace those of the code, environment and all."""
    code: dict[str, Any] = {}

    def collect(application: Any) -> None:
        deployment = application._bound_deployment
        code[deployment.name] = deployment.ray_actor_options
        for argument in deployment.init_args:
            if hasattr(argument, "_bound_deployment"):
                collect(argument)

    collect(build(AppSettings()))
    deployments = yaml.safe_load(TEXT)["applications"][0]["deployments"]
    for deployment in deployments:
        if "ray_actor_options" not in deployment:
            continue  # then the code's own count
        ours = code[deployment["name"]].get("runtime_env", {}).get("env_vars", {})
        assert deployment["ray_actor_options"].get("runtime_env", {}).get("env_vars", {}) == ours


@pytest.mark.parametrize(
    ("right", "wrong", "place", "meant"),
    [
        ("proxy_location", "proxy_locaton", "proxy_locaton", "proxy_location"),
        ("request_timeout_s", "request_timeout", "http_options.request_timeout", "request_timeout_s"),
        ("engine: llama", "engin: llama", "applications.0.args.language_model.engin", "engine"),
        ("args:", "arg:", "applications.0.arg", "args"),
        (
            "max_queued_requests",
            "max_queue_requests",
            "applications.0.deployments.0.max_queue_requests",
            "max_queued_requests",
        ),
        (
            "num_cpus: 0.2",
            "num_cpu: 0.2",
            "applications.0.deployments.0.ray_actor_options.num_cpu",
            "num_cpus",
        ),
    ],
)
def test_a_misspelt_key_is_named_with_its_place_and_what_was_probably_meant(
    refusal: Callable[[str], str], right: str, wrong: str, place: str, meant: str
) -> None:
    said = refusal(TEXT.replace(right, wrong, 1))
    assert f"{place}: there is no such key; did you mean {meant}?" in said


@pytest.mark.parametrize("name", ["chunkSize", "chunk_size"])
def test_the_size_of_a_chunk_has_the_name_of_the_seed_and_ours(tmp_path: Path, name: str) -> None:
    file = tmp_path / "serve_config.yaml"
    file.write_text(re.sub(r"( +)args:\n", rf"\g<0>\1  streaming: {{{name}: 7}}\n", TEXT, count=1))
    assert config.load(file).settings.streaming.chunk_size == 7


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("threads: 2", "threads: two", "applications.0.args.language_model.threads: "),
        ("threads: 2", "threads: 0", "applications.0.args.language_model.threads: "),
        ("name: Gateway", "name: Gatway", "there is no deployment 'Gatway'"),
        ("deployments.app:build", "deployments.app:make", "must be deployments.app:build"),
        ("request_timeout_s: null", "request_timeout_s: 60", "http_options.request_timeout_s: must be null"),
        ("port: 8000", "port: 8000\n  port: 8001", "port is there twice"),
        ("proxy_location: HeadOnly", "proxy_location: Nowhere", "proxy_location: "),
        ("proxy_location: HeadOnly", "proxy_location: [", "is not YAML"),
    ],
)
def test_a_wrong_value_is_named(refusal: Callable[[str], str], right: str, wrong: str, said: str) -> None:
    assert said in refusal(TEXT.replace(right, wrong, 1))


@pytest.mark.parametrize("arguments", ["laptop", ["laptop"], 7])
def test_arguments_that_are_no_mapping_are_named(refusal: Callable[[str], str], arguments: Any) -> None:
    raw = yaml.safe_load(TEXT)
    raw["applications"][0]["args"] = arguments
    assert "applications.0.args" in refusal(yaml.safe_dump(raw))


@pytest.mark.parametrize("quoted", [False, True])
def test_numbers_in_quotes_are_numbers_as_they_are_to_ray(
    refusal: Callable[[str], str], tmp_path: Path, quoted: bool
) -> None:
    def told(number: int) -> Any:
        return str(number) if quoted else number

    raw = yaml.safe_load(TEXT)
    gateway = raw["applications"][0]["deployments"][0]
    del gateway["num_replicas"]
    gateway["autoscaling_config"] = {"min_replicas": told(1), "max_replicas": told(2)}
    gateway["graceful_shutdown_timeout_s"] = told(600)
    (tmp_path / "right.yaml").write_text(yaml.safe_dump(raw))
    assert config.load(tmp_path / "right.yaml")
    gateway["autoscaling_config"]["min_replicas"] = told(3)
    gateway["graceful_shutdown_timeout_s"] = told(1)
    said = refusal(yaml.safe_dump(raw))
    assert "graceful_shutdown_timeout_s: must be" in said
    assert "max_replicas" in said


def test_an_engine_with_an_interpreter_of_its_own_gets_it_with_the_shipped_file() -> None:
    """`ray_actor_options` in the file would hide which interpreter it is."""
    deployments = {one["name"]: one for one in yaml.safe_load(TEXT)["applications"][0]["deployments"]}
    for name in ("LanguageModel", "TextToSpeech", "QualitySpeechToText"):
        assert "ray_actor_options" not in deployments[name]


@pytest.mark.parametrize("file", ["cluster.yaml", "kubernetes/overlays/small/serve_config.yaml"])
def test_keys_of_other_nodes_are_not_looked_for_here(file: str) -> None:
    assert "each of which" in exposure.check(config.load(ROOT / "cluster" / file))


@pytest.mark.parametrize("text", ["", "7", "[]", "applications: 7", "applications: []", "applications: [7]"])
def test_a_text_without_a_configuration_is_refused(refusal: Callable[[str], str], text: str) -> None:
    assert refusal(text)


def test_all_misspelt_keys_are_named_at_once(refusal: Callable[[str], str]) -> None:
    said = refusal(TEXT.replace("engine:", "engin:"))
    assert said.count("did you mean engine?") == 4


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RHAPSODE_LANGUAGE_MODEL__THREADS", "7")
    monkeypatch.setenv("REDIS_URL", "redis://faraway:6379/3")
    settings = config.load(FILE).settings
    assert settings.language_model.threads == 7
    assert settings.log.url is not None
    assert settings.log.url.get_secret_value() == "redis://faraway:6379/3"
    assert "faraway" not in repr(settings)


def test_a_providers_key_comes_from_the_environment_and_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = "{kind: openai, url: 'http://x', default_voice: nova}"
    file = tmp_path / "config.yaml"
    file.write_text(TEXT.replace("engine: piper", f"engine: piper, providers: {{cloud: {cloud}}}"))
    monkeypatch.setenv("RHAPSODE_TEXT_TO_SPEECH__PROVIDERS__CLOUD__API_KEY", "sk-secret")
    provider = config.load(file).settings.text_to_speech.providers["cloud"]
    assert provider.api_key is not None
    assert provider.api_key.get_secret_value() == "sk-secret"
    assert provider.default_voice == "nova"
    assert "secret" not in repr(provider)
    assert not config.unknown_variables({"RHAPSODE_TEXT_TO_SPEECH__PROVIDERS__CLOUD__API_KEY": "sk-secret"})


@pytest.mark.parametrize(
    ("providers", "said"),
    [
        ("providers: {local: CLOUD}", "taken by what is in this server"),
        ("fallback: [nobody]", "'nobody', which is no provider"),
        (
            "providers: {cloud: {kin: openai}}",
            "text_to_speech.providers.cloud.kin: there is no such key; did you mean kind?",
        ),
        ("providers: {cloud: {kind: openai, url: x, default_voice: a}}", "is not an http"),
    ],
)
def test_providers_that_cannot_be_are_refused(
    refusal: Callable[[str], str], providers: str, said: str
) -> None:
    given = providers.replace("CLOUD", "{kind: openai, url: 'http://x', default_voice: nova}")
    assert said in refusal(TEXT.replace("engine: piper", f"engine: piper, {given}"))


def test_a_wrong_variable_is_named_as_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RHAPSODE_LANGUAGE_MODEL__THREADS", "many")
    with pytest.raises(CliError, match=r"^RHAPSODE_LANGUAGE_MODEL__THREADS: "):
        config.load(FILE)


def test_a_misspelt_variable_is_noticed() -> None:
    (found,) = config.unknown_variables({"RHAPSODE_LOGS__URL": "x", "RHAPSODE_HOME": "/", "PATH": "/bin"})
    assert str(found) == "RHAPSODE_LOGS__URL: there is no such setting; did you mean RHAPSODE_LOG__URL?"


def test_variables_that_kubernetes_names_after_our_services_are_no_settings() -> None:
    told = {"RHAPSODE_SERVE_SVC_PORT": "x", "RHAPSODE_HEAD_SVC_SERVICE_PORT_GCS": "x"}
    told |= {"RHAPSODE_HEAD_SVC_PORT_6379_TCP_ADDR": "x", "RHAPSODE_HEAD_SVC_SERVICE_HOST": "x"}
    assert len(config.unknown_variables(told)) == 4
    assert config.unknown_variables(told | {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}) == []


def test_the_providers_that_are_shown_are_right() -> None:
    shown = re.findall(
        r"```yaml\n(.+?)```", (ROOT / "docs/providers.md").read_text(encoding="utf-8"), re.DOTALL
    )
    voices, _, answers = (AppSettings.model_validate(yaml.safe_load(text)) for text in shown)
    assert [*voices.text_to_speech.providers] == ["cloud", "box", "kokoro"]
    model = answers.language_model
    assert model.choices["cloud"] == ("gpt-5-mini", "gpt-5")
    assert model.windows == {"local": 2_048, "cloud": 100_000, "box": 4_096, "desk": 4_096}
    assert answers.session.llm_provider in model.choices


@pytest.mark.parametrize("field", ["llm_provider", "tts_provider"])
def test_sessions_do_not_begin_with_a_provider_that_nobody_configured(
    refusal: Callable[[str], str], field: str
) -> None:
    wrong = TEXT.replace("    profile: laptop\n", f"    profile: laptop\n    session: {{{field}: cloud}}\n")
    assert f"session.{field} names 'cloud', which is no provider" in refusal(wrong)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (
            "session: {tools: {registered: [fly]}}",
            "session.tools.registered names 'fly', which is no function",
        ),
        ("tools: {functions: {fly: {description: Up}}}", "give either url or entry_point"),
        ("tools: {functions: {fly: {url: ftp://x}}}", "is not an http(s) address"),
    ],
)
def test_functions_are_registered_in_one_place_before_sessions_use_them(
    refusal: Callable[[str], str], wrong: str, words: str
) -> None:
    text = TEXT.replace("    profile: laptop\n", f"    profile: laptop\n    {wrong}\n")
    assert words in refusal(text)


def test_null_in_the_environment_is_null_in_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RHAPSODE_LIMITS__ADMISSION__SLOWDOWN", "null")
    file = {"limits": {"admission": {"slowdown": 3.0, "waiting_turns": 5}}}
    admission = load_settings(file).limits.admission
    assert (admission.slowdown, admission.waiting_turns) == (None, 5)
