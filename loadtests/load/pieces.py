"""What the report is put together from: figures with words, and tables. Pure."""

from collections.abc import Sequence


def figure(title: str, words: str, drawing: str, figures: str = "") -> str:
    numbers = f'<p class="figures">{figures}</p>' if figures else ""
    return f"<figure><h3>{title}</h3><figcaption>{words}</figcaption>{numbers}{drawing}</figure>"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, numbers: set[int]) -> str:
    """Cells are HTML already."""

    def cells(kind: str, values: Sequence[str]) -> str:
        return "".join(
            f"<{kind}{' class=n' if number in numbers else ''}>{value}</{kind}>"
            for number, value in enumerate(values)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    head = f"<thead><tr>{cells('th', heads)}</tr></thead>"
    return f'<div class="table"><table>{head}<tbody>{body}</tbody></table></div>'
