"""As the reader's child, but the document's text is what the process sees of the world around it."""

import json
import os
import socket

from pipeline.retrieval.reading import child
from pipeline.retrieval.reading.extracted import ExtractedText

if __name__ == "__main__":
    left: list[bool] = []
    leave = child.leave_network
    child.leave_network = lambda: left.append(leave()) or left[-1]  # type: ignore[func-returns-value]

    def look(_: bytes) -> ExtractedText:
        interfaces = [name for _, name in socket.if_nameindex()]
        seen = {"variables": sorted(os.environ), "interfaces": interfaces, "left": left[-1]}
        return ExtractedText(json.dumps(seen), (), None, None)

    child._reader = lambda _: look
    child.main()
