"""Instructions for a call: TwiML of Twilio, which Telnyx takes as TeXML."""

from xml.etree import ElementTree as Xml

from schemas.settings.limit_settings import TelephoneProvider, TelephoneSettings


def connect(
    provider: TelephoneProvider,
    settings: TelephoneSettings,
    *,
    stream: str,
    token: str,
    again: str,
    wait_s: int,
) -> str:
    """Connects a media stream to the address `stream`, and when that ends asks at `again` what to do then.

    `wait_s`: seconds of silence before.
    """
    response = Xml.Element("Response")
    if wait_s:
        Xml.SubElement(response, "Pause", length=str(wait_s))
    about = {"url": stream}
    if provider == "telnyx":
        codec = settings.telnyx_codec
        about |= {"bidirectionalMode": "rtp", "bidirectionalCodec": codec, "codec": codec}
    noun = Xml.SubElement(Xml.SubElement(response, "Connect"), "Stream", about)
    Xml.SubElement(noun, "Parameter", name="token", value=token)
    Xml.SubElement(response, "Redirect", method="POST").text = again
    return _text(response)


def ask_again(again: str, wait_s: int = 0) -> str:
    """Asks at `again` what to do, after some seconds."""
    response = Xml.Element("Response")
    if wait_s:
        Xml.SubElement(response, "Pause", length=str(wait_s))
    Xml.SubElement(response, "Redirect", method="POST").text = again
    return _text(response)


def hang_up() -> str:
    response = Xml.Element("Response")
    Xml.SubElement(response, "Hangup")
    return _text(response)


def reject() -> str:
    """The caller hears that the line is busy."""
    response = Xml.Element("Response")
    Xml.SubElement(response, "Reject", reason="busy")
    return _text(response)


def transfer(to: str) -> str:
    """`to`: a number or a SIP address."""
    response = Xml.Element("Response")
    dial = Xml.SubElement(response, "Dial")
    place = Xml.SubElement(dial, "Sip" if to.startswith("sip:") else "Number")
    place.text = to
    return _text(response)


def _text(response: Xml.Element) -> str:
    return '<?xml version="1.0" encoding="UTF-8"?>' + Xml.tostring(response, "unicode")
