"""Calls by telephone over the media streams of Twilio and Telnyx; see docs/telephone.md."""
