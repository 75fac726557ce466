"""Asks a question that the model answers with a tool of an MCP server; prints call, result and answer.

The operator allows the server and its tool (docs/mcp.md); a request cannot name a server:

    tools:
      mcp_servers:
        weather: {command: [python3, /path/to/weather_server.py], tools: [usual_weather]}

The packaged model calls functions only where it must: hence `choice`. Others decide by themselves.
"""

import sys

from rhapsode import Rhapsode


def main(question: str) -> None:
    """Asks `question` in a session that may use the tool."""
    with Rhapsode() as client:
        tools = {"registered": ["weather_usual_weather"], "choice": "required"}
        session = client.create(title=question, speak=False, tools=tools)
        turn = session.ask(question)
        results = []
        for event in turn.events():
            if event.type == "tool.called":
                print(f"call: {event.data['name']}({event.data['arguments']})")
            elif event.type == "tool.completed":
                results.append(event.data["output"])
                print("result:", event.data["output"])
            elif event.type == "tool.failed":
                print("failed:", event.data["message"])
        print("answer:", turn.text())
    assert results, "the tool was not called"


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "How is the weather in Lisbon in July?")
