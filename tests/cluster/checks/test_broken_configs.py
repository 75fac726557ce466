"""Files that cannot work: `rhapsode check-config` refuses each, and names what is wrong with it.

Those of the operators' report, one for one.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cluster.cli.main import app

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "serve_config.yaml").read_text(encoding="utf-8")
Tree = dict[str, Any]


def text(right: str, wrong: str) -> Callable[[], str]:
    """The shipped file with one of its parts written otherwise."""
    assert right in TEXT
    return lambda: TEXT.replace(right, wrong, 1)


def args(**changes: Any) -> Callable[[], str]:
    """The shipped file with other settings."""

    def made() -> str:
        tree: Tree = yaml.safe_load(TEXT)
        settings = tree["applications"][0]["args"]
        for name, value in changes.items():
            old = settings.get(name)
            settings[name] = old | value if isinstance(old, dict) and isinstance(value, dict) else value
        return yaml.safe_dump(tree)

    return made


def gateway(**changes: Any) -> Callable[[], str]:
    """The shipped file with another deployment of the gateway; None: without that key."""

    def made() -> str:
        tree: Tree = yaml.safe_load(TEXT)
        one = tree["applications"][0]["deployments"][0]
        one |= changes
        for name in [name for name, value in changes.items() if value is None]:
            del one[name]
        return yaml.safe_dump(tree)

    return made


def application(change: Callable[[Tree], None]) -> Callable[[], str]:
    def made() -> str:
        tree: Tree = yaml.safe_load(TEXT)
        change(tree)
        return yaml.safe_dump(tree)

    return made


def twice(tree: Tree) -> None:
    deployments = tree["applications"][0]["deployments"]
    deployments.append(dict(deployments[0]))


CARD = {"cards": 1, "card_mb": 24_000}
SHARED = {**CARD, "text_to_speech": {"num_gpus": 0.6}}
CROWDED = {**CARD, "language_model": {"num_gpus": 0.6}, "text_to_speech": {"num_gpus": 0.6}}
SCALED = {"min_replicas": 1, "max_replicas": 4, "target_ongoing_requests": 2_000}
UPSIDE_DOWN = {"min_replicas": 3, "max_replicas": 2}
BROKEN: dict[str, tuple[Callable[[], str | bytes], str]] = {
    "a key at the top misspelt": (text("http_options", "http_option"), "did you mean http_options?"),
    "a setting misspelt": (text("language_model", "langauge_model"), "did you mean language_model?"),
    "a nested setting misspelt": (text("threads: 2", "thread: 2"), "language_model.thread: "),
    "a wrong type": (text("threads: 2", "threads: two"), "language_model.threads: "),
    "a number without end": (args(limits={"heartbeat_s": math.inf}), "limits.heartbeat_s: "),
    "lists in lists without end": (lambda: "[" * 5_000, "is nested too deeply"),
    "a negative number": (text("threads: 2", "threads: -2"), "language_model.threads: "),
    "an unknown deployment": (text("name: Gateway", "name: Gatway"), "there is no deployment 'Gatway'"),
    "another import path": (text("app:build", "app:make"), "must be deployments.app:build"),
    "replicas and autoscaling": (
        gateway(autoscaling_config={"min_replicas": 1, "max_replicas": 2}),
        "num_replicas",
    ),
    "fewer replicas at most than at least": (
        gateway(num_replicas=None, autoscaling_config=UPSIDE_DOWN),
        "max_replicas",
    ),
    "a port in letters": (text("port: 8000", "port: eighty"), "http_options.port: "),
    "a port beyond the last": (text("port: 8000", "port: 99999"), "http_options.port: must be between 1 and"),
    "no port": (text("port: 8000", "port: 0"), "http_options.port: must be between 1 and"),
    "a folder instead of keys": (args(auth={"keys_file": "/"}), "The keys cannot be read"),
    "an empty file": (lambda: "", "must hold a mapping"),
    "a list": (lambda: "- applications", "must hold a mapping"),
    "tabs": (text("  port: 8000", "\tport: 8000"), "is not YAML"),
    "no application": (application(lambda tree: tree.pop("applications")), "applications: "),
    "an empty list of applications": (
        application(lambda tree: tree.update(applications=[])),
        "there must be exactly one",
    ),
    "two applications": (
        application(
            lambda tree: tree["applications"].append(
                tree["applications"][0] | {"name": "second", "route_prefix": "/second"}
            )
        ),
        "there must be exactly one",
    ),
    "sentinels that nobody named": (args(log={"mode": "sentinel"}), 'mode "sentinel" needs sentinels'),
    "no time to leave": (gateway(graceful_shutdown_timeout_s=1), "graceful_shutdown_timeout_s: must be"),
    "a shared card without a limit of memory": (
        args(placement=SHARED),
        "needs a limit to its memory",
    ),
    "more on a card than there is": (args(placement=CROWDED), "the replicas without a pool want 1.2 cards"),
    "a key that is there twice": (text("port: 8000", "port: 8000\n  port: 8001"), "port is there twice"),
    "every network without keys": (text("127.0.0.1", "0.0.0.0"), "there is no API key"),
    "a negative queue": (gateway(max_queued_requests=-2), "max_queued_requests"),
    "a short secret": (args(auth={"jwt_secret": "short"}), "auth.jwt_secret"),
    "a key that Serve has removed": (gateway(version="1"), "deployments.0.version: there is no such key"),
    "no text at all": (lambda: b"\xff\xfe\x00\x01", "is not YAML"),
    "a target that is never reached": (
        gateway(num_replicas=None, autoscaling_config=SCALED),
        "it would never be reached",
    ),
    "an unknown engine": (
        text("engine: llama", "engine: gpt4"),
        "language_model.engine: there is no engine 'gpt4'; there are llama, vllm, scripted",
    ),
    "an unknown voice engine": (text("engine: piper", "engine: polly"), "text_to_speech.engine: there is no"),
    "an unknown speech to text": (
        text("engine: whisper", "engine: siri"),
        "speech_to_text.engine: there is no",
    ),
    "a log that is no Redis": (
        args(log={"url": "http://x"}),
        "log.url: Value error, must begin with redis://",
    ),
    "an archive of no storage": (args(archive={"url": "s4://x"}), "archive.url: there is no storage s4://"),
    "a route without a slash": (text("route_prefix: /", "route_prefix: v1"), "route_prefix: must begin with"),
    "a gateway twice": (application(twice), "deployments.7.name: Gateway is there twice"),
    "a model that is not there": (
        args(language_model={"model_path": "/no/such.gguf"}),
        "language_model.model_path: there is no /no/such.gguf",
    ),
    "a voice that is not there": (
        args(text_to_speech={"voice_path": "/no/such.onnx"}),
        "text_to_speech.voice_path: there is no /no/such.onnx",
    ),
    "a pronunciation that is no IPA": (
        args(session={"pronunciations": [{"word": "a", "ipa": "漢字"}]}),
        "session.pronunciations.0.ipa: is no IPA",
    ),
    "a profile that is none": (text("profile: laptop", "profile: moon"), "there is no profile 'moon'"),
}


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RHAPSODE_HOME", str(tmp_path / "home"))


def check(tmp_path: Path, content: str | bytes) -> tuple[int, str]:
    file = tmp_path / "serve_config.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    result = CliRunner().invoke(app, ["check-config", str(file)])
    return result.exit_code, result.output


@pytest.mark.parametrize("kind", BROKEN)
def test_a_file_that_cannot_work_is_refused_by_its_fault(kind: str, tmp_path: Path) -> None:
    made, said = BROKEN[kind]
    status, output = check(tmp_path, made())
    assert status == 2, output
    assert said in output
    assert "Traceback" not in output


def test_the_shipped_file_is_right(tmp_path: Path) -> None:
    status, output = check(tmp_path, TEXT)
    assert status == 0, output


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("RHAPSODE_LANGAUGE_MODEL__ENGINE", "did you mean RHAPSODE_LANGUAGE_MODEL__ENGINE?"),
        ("RHAPSODE_LANGUAGE_MODEL__ENGIN", "RHAPSODE_LANGUAGE_MODEL__ENGIN"),
        ("RHAPSODE_LANGUAGE_MODEL__ENGINE", "there is no engine 'x'"),
    ],
)
@pytest.mark.parametrize("command", ["check-config", "deploy", "up"])
def test_a_variable_that_means_nothing_is_named_by_every_command_that_reads_settings(
    command: str, variable: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "x")
    arguments = {"up": ["--config"], "check-config": [], "deploy": []}[command]
    result = CliRunner().invoke(app, [command, *arguments, str(ROOT / "serve_config.yaml")])
    assert result.exit_code == 2, result.output
    assert said in result.output


def test_files_of_other_nodes_are_not_looked_for_here(tmp_path: Path) -> None:
    tree = yaml.safe_load((ROOT / "cluster/cluster.yaml").read_text(encoding="utf-8"))
    tree["applications"][0]["args"]["text_to_speech"]["model_path"] = "/no/such"
    status, output = check(tmp_path, yaml.safe_dump(tree))
    assert status == 0, output
