"""Calls over WebRTC: the Realtime face with a data channel for its events and audio tracks for its sound."""
