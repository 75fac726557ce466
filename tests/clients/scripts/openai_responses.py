"""Clients of OpenAI's Responses API, unchanged; only the base URL is ours."""

import asyncio
import json
import sys
from typing import Any

from pydantic import BaseModel

MODEL = "gpt-5.5"
TYPED = "Typed, please."


class Place(BaseModel):
    """The type that is asked for."""

    city: str


def agents_sdk(url: str, question: str, key: str) -> dict[str, Any]:
    """The Agents SDK with its default model: a function, a stream, a type, and a question after an answer."""
    import agents
    from openai import AsyncOpenAI

    agents.set_tracing_disabled(True)
    agents.set_default_openai_client(AsyncOpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0))

    @agents.function_tool
    def get_weather(city: str) -> str:
        """How the weather is in a city."""
        return f"It rains in {city}."

    agent = agents.Agent(name="Keeper", instructions="Be brief.", model=MODEL, tools=[get_weather])
    typed = agents.Agent(name="Clerk", model=MODEL, output_type=Place)

    async def asked() -> dict[str, Any]:
        whole = await agents.Runner.run(agent, question)
        after = await agents.Runner.run(agent, "Say it.", previous_response_id=whole.last_response_id)
        streamed = agents.Runner.run_streamed(agent, question)
        deltas = [
            event.data.delta
            async for event in streamed.stream_events()
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
        ]
        place = (await agents.Runner.run(typed, TYPED)).final_output
        results = [item.output for item in whole.new_items if isinstance(item, agents.ToolCallOutputItem)]
        return {
            "results": results,
            "answer": whole.final_output,
            "streamed": "".join(deltas),
            "city": place.city,
            "after": after.final_output,
        }

    return asyncio.run(asked())


def pydantic_ai(url: str, question: str, key: str) -> dict[str, Any]:
    """pydantic-ai with its Responses model."""
    from pydantic_ai import Agent, NativeOutput
    from pydantic_ai.models.openai import OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIResponsesModel(MODEL, provider=OpenAIProvider(base_url=f"{url}/v1", api_key=key))
    agent = Agent(model, instructions="Be brief.")
    results = []

    @agent.tool_plain
    def get_weather(city: str) -> str:
        """How the weather is in a city."""
        results.append(f"It rains in {city}.")
        return results[-1]

    whole = agent.run_sync(question)
    after = agent.run_sync("Say it.", message_history=whole.all_messages())
    called = list(results)

    async def streamed() -> str:
        async with agent.run_stream(question) as stream:
            return "".join([delta async for delta in stream.stream_text(delta=True)])

    return {
        "results": called,
        "answer": whole.output,
        "streamed": asyncio.run(streamed()),
        "city": Agent(model, output_type=NativeOutput(Place)).run_sync(TYPED).output.city,
        "after": after.output,
    }


def langchain(url: str, question: str, key: str) -> dict[str, Any]:
    """LangChain's model with `use_responses_api`."""
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    @tool
    def get_weather(city: str) -> str:
        """How the weather is in a city."""
        return f"It rains in {city}."

    model = ChatOpenAI(model=MODEL, base_url=f"{url}/v1", api_key=key, use_responses_api=True, max_retries=0)
    bound = model.bind_tools([get_weather])
    called = bound.invoke(question)
    [call] = called.tool_calls
    result = get_weather.invoke(call)
    asked = [("user", question), called, result]
    answer = bound.invoke(asked)
    return {
        "results": [result.content],
        "answer": answer.text,
        "streamed": "".join(chunk.text for chunk in bound.stream(asked)),
        "city": model.with_structured_output(Place, method="json_schema").invoke(TYPED).city,
        "after": bound.invoke([*asked, answer, ("user", "Say it.")]).text,
    }


if __name__ == "__main__":
    wishes = json.loads(sys.argv[1])
    scenario = {"agents_sdk": agents_sdk, "pydantic_ai": pydantic_ai, "langchain": langchain}
    print(json.dumps(scenario[wishes.pop("scenario")](**wishes)))
