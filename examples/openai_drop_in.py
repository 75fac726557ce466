"""The `openai` package with another base URL: a chat completion, a response, speech."""

import os

from openai import OpenAI


def main() -> None:
    """Asks the first chat model that the server lists."""
    url = os.environ.get("RHAPSODE_URL", "http://127.0.0.1:8000").rstrip("/")
    client = OpenAI(base_url=f"{url}/v1", api_key=os.environ.get("RHAPSODE_KEY", "none"))
    model = next(model.id for model in client.models.list())
    print("model:", model)
    stream = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Tell me about the sea."}], stream=True
    )
    print("chat:", "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices))
    response = client.responses.create(model=model, input="And about the tides?")
    print("response:", response.output_text)
    speech = client.audio.speech.create(model="tts-1", voice="alloy", input="Good morning.")
    print("speech:", len(speech.content), "bytes of MP3")


if __name__ == "__main__":
    main()
