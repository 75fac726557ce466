"""Writes a scene of a story; the server narrates it by itself and says so, and the narration is fetched."""

import json
import os
from urllib.parse import urlsplit

import httpx
from websockets.sync.client import connect


def main() -> None:
    """Waits for the notification that the scene's narration is ready."""
    url = os.environ.get("RHAPSODE_URL", "http://127.0.0.1:8000")
    key = os.environ.get("RHAPSODE_KEY")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    server = httpx.Client(base_url=url, headers=headers, timeout=60)
    server.put("/api/tts/settings", json={"auto_play_last_scene": True}).raise_for_status()
    opening = {"title": "The lighthouse", "premise": "a keeper and a fox"}
    story = server.post("/api/stories", json=opening).raise_for_status().json()
    with connect(f"ws://{urlsplit(url).netloc}/ws/me", additional_headers=headers) as news:
        scenes, asked = f"/api/stories/{story['id']}/scenes", {"custom_prompt": "How does it begin?"}
        print(server.post(scenes, json=asked).raise_for_status().json()["content"])
        while (message := json.loads(news.recv(60)))["type"] != "tts_ready":
            print(message["type"])
        print(f"Narrated by itself, in {message['chunk_count']} pieces: {message['session_id']}")


if __name__ == "__main__":
    main()
