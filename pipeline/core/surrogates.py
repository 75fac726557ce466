"""Characters outside the basic plane that came in two halves, as JSON and UTF-16 write them."""


def joined(text: str) -> str:
    """Halves that follow each other are one character again; what stays half is replaced."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
