"""Loads the model of languages when the fork server imports it: its gateways share that."""

from pipeline.tts import sentence_language

sentence_language.load()
