"""vLLM does what every language model does."""

import pytest

from pipeline.engines.llm.vllm.vllm_engine import VllmLanguageModel
from rhapsode.testing.language_model_contract import LanguageModelContract


class TestVllm(LanguageModelContract):
    @pytest.fixture
    def model(self, vllm: VllmLanguageModel) -> VllmLanguageModel:
        return vllm
