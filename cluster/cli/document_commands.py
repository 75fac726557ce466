"""`rhapsode documents`: what the system knows, from the command line."""

from pathlib import Path
from typing import Annotated, Any, Final, Literal

import anyio
import typer
from rich.console import Console
from rich.markup import escape

from cluster.cli.command_help import Json, Yes, confirm, running_at, show
from cluster.terminal.console import Steps

app = typer.Typer(
    help="Documents that answers can be looked up in, in collections.",
    epilog='Begin with: rhapsode documents add handbook.pdf --collection "Our handbook"',
    no_args_is_help=True,
    rich_markup_mode=None,
)

DEFAULT: Final = "documents"
Which = Annotated[
    str, typer.Option("--collection", "-c", help="Its name or its id; a name that two have is refused.")
]
Strategy = Literal["vector", "keyword", "hybrid", "two_stage"]


@app.command()
def add(
    files: Annotated[
        list[Path], typer.Argument(help="PDF, DOCX, HTML, Markdown or text files, or folders of them.")
    ],
    collection: Which = DEFAULT,
) -> None:
    """Read files into a collection, which is made if there is none of the name. A document of
    the same name is replaced.

    Example: rhapsode documents add handbook.pdf notes/ --collection "Our handbook"
    """
    from cluster.client import document_transfer

    found = document_transfer.files_of(files)
    steps = Steps(Console(stderr=True))
    anyio.run(document_transfer.add, running_at(), collection, found, steps)


@app.command("list")
def list_(
    collection: Annotated[
        str | None, typer.Option("--collection", "-c", help="Only this one, by its name or its id.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the collections and what is in them.

    Example: rhapsode documents list --collection "Our handbook"
    """
    from cluster.client import document_transfer

    found = anyio.run(document_transfer.listed, running_at(), collection)
    lines = [line for one in found for line in _lines(one)]
    nothing = "There are no collections. Make one: rhapsode documents add FILE"
    show(found, lines or [nothing], as_json=as_json)


@app.command()
def search(
    question: Annotated[str, typer.Argument(help="What to look for, in words of your own.")],
    collection: Which = DEFAULT,
    strategy: Annotated[
        Strategy, typer.Option(help="keyword: by words; vector: by meaning; the others: by both.")
    ] = "two_stage",
    top: Annotated[int, typer.Option(min=1, max=50, help="So many passages at most.")] = 4,
    as_json: Json = False,
) -> None:
    """Show the passages that answer a question best, with where they stand.

    Example: rhapsode documents search "How many days of leave are there?" --collection "Our handbook"
    """
    from cluster.client import document_transfer

    wish = {"question": question, "strategy": strategy, "top_k": top}
    passages = anyio.run(document_transfer.search, running_at(), collection, wish)
    lines = [f"{_place(one)}  ({one['score']:.3f})\n{one['text'].strip()}\n" for one in passages]
    show(passages, lines or ["Nothing was found."], as_json=as_json)


@app.command()
def remove(
    names: Annotated[list[str], typer.Argument(help="Names or ids of documents; none: use --all.")] = [],  # noqa: B006 - typer wants a list
    collection: Which = DEFAULT,
    everything: Annotated[bool, typer.Option("--all", help="The whole collection.")] = False,
    yes: Yes = False,
) -> None:
    """Forget documents, or a collection with everything in it.

    Example: rhapsode documents remove handbook.pdf --collection "Our handbook"
    """
    from cluster.client import document_transfer

    what = f"the whole collection {collection}" if everything else f"{', '.join(names)} of {collection}"
    if names or everything:
        confirm(f"Remove {what}, with all that was read of it?", yes=yes)
    gone = anyio.run(document_transfer.remove, running_at(), collection, names, everything)
    Console(stderr=True).print(f"Removed: {escape(gone)}", highlight=False, soft_wrap=True)


def _lines(collection: dict[str, Any]) -> list[str]:
    lines = [f"{collection['name']}  {collection['id']}"]
    for one in collection["contents"]:
        view = one["view"]
        size = f"{view['chunks']} passages" if view else f"{one['done']:.0%}"
        failure = f"  {one['message']} ({one['code']})" if one["code"] else ""
        lines.append(f"    {one['state']:<10}{one['name']}  {size}{failure}")
    return lines if collection["contents"] else [*lines, "    empty"]


def _place(passage: dict[str, Any]) -> str:
    page = f", page {passage['page']}" if passage["page"] else ""
    headings = f", {' > '.join(passage['headings'])}" if passage["headings"] else ""
    return f"{passage['title']}{page}{headings}"
