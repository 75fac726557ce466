"""Which kinds of files may be read as recordings: those that carry their sound in themselves.

FFmpeg also reads lists of other files and addresses (HLS, DASH, SDP, "ffconcat"), and follows them: who sent
one would read this machine's files and open its sockets. So what may be read is named here, not what may not.
"""

from typing import Final

_CONTAINERS: Final = (
    ("wav", "w64", "aiff", "au", "caf", "voc", "sox", "nistsphere", "ircam", "avr"),  # PCM
    ("mp3", "aac", "flac", "ogg", "amr", "amrnb", "amrwb", "ac3", "eac3", "dts", "loas"),
    ("ape", "wv", "tta", "tak", "shn", "mpc", "mpc8", "qcp", "dss", "gsm"),
    ("mov", "mp4", "m4a", "3gp", "3g2", "mj2", "matroska", "webm", "asf", "xwma"),
    ("avi", "flv", "mpeg", "mpegts"),
)
OPTIONS: Final = {
    "format_whitelist": ",".join(name for row in _CONTAINERS for name in row),
    # What is read is given as an open file; nothing else is to be opened for it.
    "protocol_whitelist": "",
}
"""For `av.open`."""
