"""Language models side by side on this machine, each by its own interpreter:

.venv/bin/python -m tests.engines_vllm.measure_language_models llama
.venv-vllm/bin/python -m tests.engines_vllm.measure_language_models vllm --dtype bfloat16

Time to the first text and tokens per second, for 1, 4 and 8 requests at once; what the engine itself costs,
without Ray, gateway or log. Set OMP_NUM_THREADS as a replica has it.
"""

import argparse
import asyncio
import os
import time
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil

from pipeline.engines.llm.vllm.vllm_environment import ENVIRONMENT
from pipeline.engines.ports import ChatRequest, Completion, LanguageModel, Message
from pipeline.engines.registry import build_language_model
from schemas.settings import LanguageModelSettings

ROUNDS = 3
TOKENS = 64
SYSTEM = Message(
    "system", "You are a warm storyteller and a helpful assistant. Answer in plain, flowing prose."
)


@dataclass(frozen=True, slots=True)
class Figures:
    first_ms: float
    tokens: int


async def one(model: LanguageModel, number: int) -> Figures:
    """An answer of a fixed length; each asks something else, so that only the system prompt is shared."""
    question = Message(
        "user", f"Tell me a long story of a lighthouse keeper and his {number} foxes in winter."
    )
    began, first = time.perf_counter(), 0.0
    async with aclosing(model.stream(ChatRequest((SYSTEM, question), TOKENS, temperature=0.0))) as items:
        async for item in items:
            first = first or time.perf_counter() - began
            if isinstance(item, Completion):
                return Figures(first * 1_000, item.tokens_out)
    raise RuntimeError("an answer had no end")


async def measure(model: LanguageModel, at_once: int) -> str:
    firsts, rates = [], []
    for number in range(ROUNDS):
        began = time.perf_counter()
        answers = await asyncio.gather(*(one(model, number * 10 + place) for place in range(at_once)))
        rates.append(sum(answer.tokens for answer in answers) / (time.perf_counter() - began))
        firsts += [answer.first_ms for answer in answers]
    return (
        f"{at_once} at once: first text after {median(firsts):.0f} ms, {median(rates):.0f} tokens/s together"
    )


def memory_mib() -> float:
    """Of this process and its children, what they share counted once."""
    whole = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return sum(process.memory_full_info().pss for process in whole) / 2**20


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", choices=("llama", "vllm"))
    parser.add_argument("--model", default=None)
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    settings = LanguageModelSettings.model_validate({**vars(options), "slots": 8})
    began = time.perf_counter()
    model = build_language_model(settings, Path("~/.cache/rhapsode"))
    await one(model, 0)
    print(f"{options.engine}: ready after {time.perf_counter() - began:.1f} s")
    for at_once in (1, 4, 8):
        print(await measure(model, at_once))
    print(f"{memory_mib():.0f} MiB")
    await model.aclose()


if __name__ == "__main__":
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("OMP_NUM_THREADS", "2")
    asyncio.run(main())
