"""Clients of Anthropic's Messages API with ours; only the base URL is ours."""

import json
import sys
from typing import Any

import anthropic
from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.providers.anthropic import AnthropicProvider

MODEL = "claude-sonnet-5"
WEATHER = {
    "name": "get_weather",
    "description": "How the weather is in a city.",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def sdk(url: str, question: str, key: str) -> dict[str, Any]:
    """The SDK: a message, a stream, a function with its result, its tool runner, and three refusals."""
    client = anthropic.Anthropic(base_url=url, api_key=key, max_retries=0)
    asked: dict[str, Any] = {"model": MODEL, "max_tokens": 500}
    story = [{"role": "user", "content": "Say it."}]
    whole = client.messages.create(messages=story, system="Be brief.", **asked)
    with client.messages.stream(messages=story, **asked) as stream:
        streamed = "".join(stream.text_stream)
        final = stream.get_final_message()
    messages: list[Any] = [{"role": "user", "content": question}]
    with client.messages.stream(messages=messages, tools=[WEATHER], **asked) as stream:
        called = stream.get_final_message()
    [call] = [block for block in called.content if block.type == "tool_use"]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": f"It rains in {call.input['city']}."}
    messages += [{"role": "assistant", "content": called.content}, {"role": "user", "content": [result]}]
    answer = client.messages.create(messages=messages, tools=[WEATHER], **asked)

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """How the weather is in a city."""
        return f"It rains in {city}."

    run = client.beta.messages.tool_runner(messages=messages[:1], tools=[get_weather], **asked)
    refused = []
    try:
        client.messages.create(model="zork", max_tokens=5, messages=story)
    except anthropic.NotFoundError as error:
        refused.append(error.type)
    try:
        client.messages.count_tokens(model=MODEL, messages=story)
    except anthropic.NotFoundError as error:
        refused.append(error.type)
    try:
        client.with_options(api_key="wrong").messages.create(messages=story, **asked)
    except anthropic.AuthenticationError as error:
        refused.append(error.type)
    return {
        "text": whole.content[0].text,
        "streamed": streamed,
        "final": final.content[0].text,
        "tokens": [final.usage.input_tokens, final.usage.output_tokens],
        "reasons": [whole.stop_reason, called.stop_reason],
        "request": [whole.id, whole._request_id],
        "answer": answer.content[0].text,
        "run": run.until_done().content[0].text,
        "refused": refused,
    }


def pydantic_ai(url: str, question: str, key: str) -> dict[str, Any]:
    """An agent of pydantic-ai, which calls its function by itself."""
    model = AnthropicModel(MODEL, provider=AnthropicProvider(base_url=url, api_key=key))
    agent = Agent(model, instructions="Be brief.")
    results = []

    @agent.tool_plain
    def get_weather(city: str) -> str:
        """How the weather is in a city."""
        results.append(f"It rains in {city}.")
        return results[-1]

    return {"answer": agent.run_sync(question).output, "results": results}


def langchain(url: str, question: str, key: str) -> dict[str, Any]:
    """LangChain's model: a call, and the answer to its result, in chunks."""

    @tool
    def get_weather(city: str) -> str:
        """How the weather is in a city."""
        return f"It rains in {city}."

    model = ChatAnthropic(model=MODEL, base_url=url, api_key=key, max_tokens=500)
    bound = model.bind_tools([get_weather])
    called = bound.invoke(question)
    [call] = called.tool_calls
    result = get_weather.invoke(call)
    chunks = [chunk.text for chunk in bound.stream([("user", question), called, result])]
    return {"answer": "".join(chunks), "results": [result.content], "chunks": len(chunks)}


if __name__ == "__main__":
    wishes = json.loads(sys.argv[1])
    scenario = {"sdk": sdk, "pydantic_ai": pydantic_ai, "langchain": langchain}[wishes.pop("scenario")]
    print(json.dumps(scenario(**wishes)))
