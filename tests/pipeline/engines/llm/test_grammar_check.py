"""How grammars are compiled before the engine is given them: in turn, charged, once."""

import threading
from collections import Counter
from contextlib import suppress
from functools import partial

import anyio
import psutil
import pytest

from pipeline.engines.llm import grammar_check
from pipeline.engines.llm.grammar_check import GrammarChecker
from pipeline.engines.llm.json_grammars import grammar
from pipeline.engines.llm.llama_cpp import LlamaLanguageModel
from pipeline.engines.ports import ChatRequest
from rhapsode.testing.language_model_contract import answer
from schemas.errors import EngineBusy, SchemaInvalid
from schemas.errors.access_errors import TurnLimit
from tests.pipeline.engines.llm.test_json_grammars import ASKED, ENDLESS, member
from tests.support.eventually import eventually


@pytest.fixture(autouse=True)
def _a_check_may_wait_for_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process is nice: beside other tests, 5 s need not give it the quarter of a second it may take."""
    monkeypatch.setattr(grammar_check, "_COMPILED_S", 100.0)


@pytest.mark.server
@pytest.mark.anyio
async def test_a_schema_that_was_checked_before_is_not_compiled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checker, schema = GrammarChecker(), member("known before")
    await checker.check(grammar(schema))
    monkeypatch.setattr(grammar_check, "_WAITING", 0)
    await checker.check(grammar(schema))
    with pytest.raises(EngineBusy):
        await checker.check(grammar(member("new")))


@pytest.mark.server
@pytest.mark.anyio
async def test_a_schema_is_charged_when_it_is_compiled_and_once_also_if_it_is_refused() -> None:
    charged: list[str] = []

    async def charge(principal: str) -> None:
        if len(charged) == 2:
            raise TurnLimit("at most 2 new schemas a minute are allowed", retry_after_s=1.0)
        charged.append(principal)

    checker = GrammarChecker(charge)
    for _ in range(3):
        with pytest.raises(SchemaInvalid):
            await checker.check(grammar({"type": "nothing known"}), principal="eve")
    await checker.check(grammar(member("taken")), principal="bob")
    with pytest.raises(TurnLimit):
        await checker.check(grammar(member("one too many")), principal="eve")
    assert charged == ["eve", "bob"]


@pytest.mark.anyio
async def test_a_full_engine_refuses_before_it_compiles_a_grammar(
    llama: LlamaLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled, check = list[str](), llama._grammars.check

    async def counted(text: str) -> None:
        compiled.append(text)
        await check(text)

    monkeypatch.setattr(llama._grammars, "check", counted)
    outcomes = Counter[str]()

    async def ask(number: int) -> None:
        request = ChatRequest(ASKED, max_tokens=2, json_schema=member(f"of caller {number}"))
        try:
            await answer(llama, request)
        except EngineBusy:
            outcomes["busy"] += 1
        else:
            outcomes["answered"] += 1

    async with anyio.create_task_group() as callers:
        for number in range(12):
            callers.start_soon(ask, number)
    assert outcomes == {"answered": 10, "busy": 2}
    assert len(compiled) == 10


@pytest.mark.server
@pytest.mark.anyio
async def test_schemas_of_one_principal_do_not_delay_those_of_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    checker, done = GrammarChecker(), Counter[str]()
    all_wait, compiled = threading.Event(), grammar_check._compiled

    def compiled_later(asked: str) -> str:
        all_wait.wait()
        return compiled(asked)

    monkeypatch.setattr(grammar_check, "_WAITING", 11)
    monkeypatch.setattr(grammar_check, "_compiled", compiled_later)

    async def ask(principal: str, name: str) -> None:
        await checker.check(grammar(member(name)), principal=principal)
        done[principal] += 1

    async with anyio.create_task_group() as asking:
        for number in range(12):
            asking.start_soon(ask, "eve", f"of eve {number}")
        await anyio.wait_all_tasks_blocked()
        try:
            with pytest.raises(EngineBusy):
                await ask("eve", "one too many")
        finally:
            all_wait.set()
        await ask("bob", "of bob")
        assert done["eve"] <= 2
    assert done == {"eve": 12, "bob": 1}


def compiling() -> list[psutil.Process]:
    """Processes of this one that compile a grammar."""
    found = []
    for process in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            found += [process] if str(grammar_check._PROCESS) in process.cmdline() else []
    return found


async def one_compiles() -> psutil.Process:
    found: list[psutil.Process] = []

    def looked() -> bool:
        found.extend(compiling())
        return bool(found)

    await eventually(looked)
    return found[0]


@pytest.mark.server
@pytest.mark.anyio
async def test_a_client_that_leaves_keeps_its_place_until_its_schema_is_compiled() -> None:
    checker, most = GrammarChecker(), 0

    async def ask(*, leave: anyio.CancelScope) -> None:
        with leave, suppress(SchemaInvalid):
            await checker.check(grammar(ENDLESS), principal="eve")

    for _ in range(3):
        async with anyio.create_task_group() as asked:
            scope = anyio.CancelScope()
            asked.start_soon(partial(ask, leave=scope))
            await one_compiles()
            scope.cancel()
        most = max(most, len(compiling()))
    assert most == 0


@pytest.mark.server
@pytest.mark.anyio
async def test_a_check_that_is_killed_from_outside_is_no_verdict() -> None:
    checker = GrammarChecker()

    async def refused() -> None:
        with pytest.raises(EngineBusy):
            await checker.check(grammar(ENDLESS))

    async with anyio.create_task_group() as asked:
        asked.start_soon(refused)
        (await one_compiles()).kill()
    with pytest.raises(SchemaInvalid):
        await checker.check(grammar(ENDLESS))
