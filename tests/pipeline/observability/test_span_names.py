"""Names, ids and settings: the same everywhere, the same tomorrow."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.semconv.attributes import error_attributes, service_attributes
from pydantic import ValidationError

from deployments.app_settings import load_settings
from deployments.observability.otel_variables import tracing
from pipeline.observability import span_names, tracer
from schemas.settings.telemetry_settings import TracingSettings

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "tracing.md"
NAMES = {name: value for name, value in vars(span_names).items() if name.isupper() and isinstance(value, str)}
ATTRIBUTES = [value for value in NAMES.values() if "." in value]


def test_names_of_opentelemetry_are_those_that_are_installed() -> None:
    known = {
        value
        for module in (gen_ai_attributes, error_attributes, service_attributes)
        for value in vars(module).values()
        if isinstance(value, str)
    }
    theirs = {name for name in ATTRIBUTES if not name.startswith("rhapsode.")}
    assert theirs - known - {"service.instance.id"} == set()
    operations = {value.value for value in gen_ai_attributes.GenAiOperationNameValues}
    assert {span_names.OP_TURN, span_names.OP_CHAT, span_names.OP_TOOL, span_names.OP_RETRIEVE} <= operations


def test_the_document_has_every_name_and_no_other() -> None:
    text = DOCUMENT.read_text()
    assert [name for name in NAMES.values() if "." in name and f"`{name}`" not in text] == []
    told = {word for word in text.split("`")[1::2] if word.startswith(("rhapsode.", "gen_ai."))}
    assert told - set(NAMES.values()) == set()
    spans = text.partition("## Spans")[2].partition("\n## ")[0]
    for span in (
        "TURN",
        "TRANSCRIBE",
        "RETRIEVE",
        "CHAT",
        "EXECUTE_TOOL",
        "SYNTHESIZE",
        "LISTEN",
        "UTTERANCE",
    ):
        assert f"`{NAMES[span]}" in spans


@given(st.uuids().map(str), st.integers(2, 10**9), st.floats(0, 1), st.floats(0, 1))
def test_ids_follow_from_the_turn_and_a_larger_share_holds_the_smaller(
    session: str, turn: int, one: float, other: float
) -> None:
    trace = tracer.trace_id(session, turn)
    assert trace == tracer.trace_id(session, turn)
    assert 0 < trace < 1 << 128
    assert len({trace, tracer.trace_id(session, turn + 1), tracer.trace_id(session[::-1], turn)}) == 3
    assert 0 < tracer.turn_span_id(session, turn) != tracer.turn_span_id(session, turn, 2)
    smaller, larger = sorted((one, other))
    assert tracer.is_sampled(trace, larger) or not tracer.is_sampled(trace, smaller)
    assert tracer.is_sampled(trace, 1.0)
    assert not tracer.is_sampled(trace, 0.0)


def test_another_process_finds_the_same_ids() -> None:
    asked = "from pipeline.observability.tracer import *; print(trace_id('s', 2), turn_span_id('s', 2))"
    environment = {**os.environ, "PYTHONHASHSEED": "7"}
    said = subprocess.run([sys.executable, "-c", asked], env=environment, capture_output=True, check=True)
    assert said.stdout.split() == [
        str(tracer.trace_id("s", 2)).encode(),
        str(tracer.turn_span_id("s", 2)).encode(),
    ]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({}, {}),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318/"},
            {"enabled": True, "endpoint": "http://c:4318/v1/traces"},
        ),
        (
            {
                "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c",
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://t/mine",
            },
            {"enabled": True, "endpoint": "http://t/mine"},
        ),
        ({"OTEL_EXPORTER_OTLP_HEADERS": "a=1%2C2, b = c=d"}, {"headers": {"a": "1,2", "b": "c=d"}}),
        (
            {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"},
            {"sample_ratio": "0.1"},
        ),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, {"sample_ratio": 0.0}),
        ({"OTEL_SERVICE_NAME": "choir"}, {"service": "choir"}),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, {"enabled": False}),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, {"enabled": False}),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, {}),
    ],
)
def test_opentelemetrys_variables_are_heard(variables: dict[str, str], said: dict[str, object]) -> None:
    assert tracing(variables) == said


def test_our_own_variables_win_over_theirs_and_theirs_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://theirs")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.25")
    monkeypatch.setenv("RHAPSODE_TRACING__ENDPOINT", "http://ours:4318")
    found = load_settings(
        {"tracing": {"endpoint": "http://files", "sample_ratio": 0.5, "content": True}}
    ).tracing
    assert found.url == "http://ours:4318/v1/traces"
    assert (found.enabled, found.sample_ratio, found.content) == (True, 0.25, True)
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "half")
    with pytest.raises(ValidationError, match=r"tracing\.sample_ratio"):
        load_settings({})


@pytest.mark.parametrize("endpoint", ["localhost:4318", "grpc://c:4317", "http://", "http://me:secret@c"])
def test_a_wrong_address_is_refused_by_the_name_of_its_field(endpoint: str) -> None:
    with pytest.raises(ValidationError, match="endpoint"):
        TracingSettings(endpoint=endpoint)
