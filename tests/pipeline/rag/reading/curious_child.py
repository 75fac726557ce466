"""As the reader's child, but the document's text is what the process sees of the world around it."""

import json
import os
import socket

from pipeline.rag.reading import reader_process
from pipeline.rag.reading.extracted_text import ExtractedText

if __name__ == "__main__":
    left: list[bool] = []
    leave = reader_process.leave_network
    reader_process.leave_network = lambda: left.append(leave()) or left[-1]  # type: ignore[func-returns-value]

    def look(_: bytes) -> ExtractedText:
        interfaces = [name for _, name in socket.if_nameindex()]
        seen = {"variables": sorted(os.environ), "interfaces": interfaces, "left": left[-1]}
        return ExtractedText(json.dumps(seen), (), None, None)

    reader_process._reader = lambda _: look
    reader_process.main()
