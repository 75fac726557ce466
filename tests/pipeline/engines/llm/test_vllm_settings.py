"""Parts of vLLM's engine without vLLM: settings, names, adapters' sizes, numbers of the converted model."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from deployments.model_names import Names
from pipeline.engines.llm.vllm.vllm_environment import adapter_folders, is_on_hub, rank_of, vllm_python
from pipeline.engines.model_files import prepare
from pipeline.engines.weights.gguf_conversion import _halves, bfloat16
from pipeline.engines.weights.prepared_folders import UnusableWeights
from pipeline.sessions.catalog import Catalog
from schemas.settings import AppSettings, LanguageModelSettings


def test_only_vllm_has_a_place_adapters_and_a_window_of_its_own() -> None:
    llama = LanguageModelSettings(loras={"pirate": Path("/pirate")}, max_model_len=4_096)
    assert (vllm_python(llama), llama.adapters, llama.window) == (None, (), 2_048)
    vllm = llama.model_copy(update={"engine": "vllm"})
    assert str(vllm_python(vllm)).endswith(".venv-vllm/bin/python")
    assert (vllm.choices["local"], vllm.windows["local"]) == (("pirate",), 4_096)
    assert vllm.model_copy(update={"max_model_len": None}).window == 2_048


@pytest.mark.parametrize(
    "wrong", [{"loras": {"local": "/a"}}, {"gpu_memory_utilization": 1.5}, {"dtype": "int4"}]
)
def test_wrong_settings_are_named(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        LanguageModelSettings.model_validate({"engine": "vllm", **wrong})


def test_a_model_is_a_folder_or_a_name_on_the_hub(tmp_path: Path) -> None:
    assert not is_on_hub(LanguageModelSettings(engine="vllm"))
    assert not is_on_hub(LanguageModelSettings(engine="vllm", model=str(tmp_path)))
    assert is_on_hub(LanguageModelSettings(engine="vllm", model="HuggingFaceTB/SmolLM2-135M-Instruct"))


def test_a_missing_environment_is_told_before_anything_is_started(tmp_path: Path) -> None:
    model = LanguageModelSettings(engine="vllm", python=tmp_path / "python")
    with pytest.raises(UnusableWeights, match="make env-vllm"):
        prepare(AppSettings(language_model=model, cache=tmp_path))


def adapter(folder: Path, **config: object) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def test_room_is_made_for_the_largest_adapter(tmp_path: Path) -> None:
    small, large = adapter(tmp_path / "small", r=4), adapter(tmp_path / "large", r=8, rank_pattern={"q": 40})
    settings = LanguageModelSettings(engine="vllm", loras={"small": small})
    assert rank_of(adapter_folders(settings)) == 8
    assert rank_of({"small": small, "large": large}) == 64
    assert rank_of({}) == 1
    for broken in (adapter(tmp_path / "huge", r=1_024), adapter(tmp_path / "empty")):
        with pytest.raises(UnusableWeights, match="rank"):
            rank_of({"broken": broken})
    with pytest.raises(UnusableWeights, match="'none'"):
        adapter_folders(settings.model_copy(update={"loras": {"none": tmp_path / "none"}}))


def test_adapters_are_models_to_openais_clients() -> None:
    model = LanguageModelSettings(engine="vllm", model="/models/Fox-8B", loras={"pirate": Path("/pirate")})
    settings = AppSettings(language_model=model)
    names = Names(settings, Catalog(settings.session, {"local": ("joe",)}, answerers=model.choices))
    assert [one.id for one in names.models if one.kind == "chat"] == ["Fox-8B", "pirate"]
    assert names.answering("pirate") == (None, "pirate")
    assert names.answering("Fox-8B") == (None, None)
    assert (names.answered("local", "pirate"), names.answered("local", "Fox-8B")) == ("pirate", "Fox-8B")
    assert names.chat("gpt-4o").id == "Fox-8B"


@given(st.floats(-(2.0**120), 2.0**120, width=32, allow_subnormal=False))
def test_a_number_becomes_the_nearestbfloat16(value: float) -> None:
    bits = int(np.frombuffer(bfloat16(np.array([value], np.float32)), "<u2")[0])
    found, *others = (
        float(np.array([number << 16], np.uint32).view(np.float32)[0])
        for number in (bits, bits + 1, max(bits - 1, 0))
    )
    assert all(abs(found - value) <= abs(other - value) for other in others if math.isfinite(other))


@given(st.integers(1, 4), st.integers(1, 5))
def test_rows_go_back_where_transformers_has_them(heads: int, pairs: int) -> None:
    rows = np.arange(heads * pairs * 2, dtype=np.float32)[:, None]
    interleaved = rows.reshape(heads, 2, pairs, 1).swapaxes(1, 2).reshape(-1, 1)
    assert (_halves(interleaved, heads) == rows).all()
