"""The peers as servers: each file runs by itself with the Python of .venv-peers, and imports nothing of ours.

All speak the same plain WebSocket. Up: binary frames are what a microphone hears (PCM16, mono, 16 kHz), a
text frame is `{"ask": "..."}` for a question or `{"say": "..."}` for a text to be read out. Down:
`{"type": "ready"}` once, then binary frames of sound (PCM16, mono, 24 kHz).
"""
