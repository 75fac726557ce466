"""One request to the system that a command is about; a refusal is told with what to do about it."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import httpx

from cluster.terminal.cli_errors import ADVICE, CliError
from cluster.terminal.run_state import credential, home, is_encrypted, running

if TYPE_CHECKING:
    from cluster.terminal.metric_readings import Page

_PATIENCE_S: Final = 10.0


def ask(
    address: str,
    method: str,
    path: str,
    *,
    query: Mapping[str, str | int] | None = None,
    patience_s: float = _PATIENCE_S,
) -> dict[str, Any]:
    """The JSON that it answers; empty where it answers nothing. Raises CliError."""
    answer = _answer(address, method, path, patience_s, query or {})
    try:
        body: dict[str, Any] = answer.json() if answer.content else {}
    except ValueError as error:
        raise CliError(f"The server at {address} is not Rhapsode.", "Check the address.") from error
    return body


def metrics_page(address: str) -> "Page":
    """Reads the server's Prometheus page. Raises CliError."""
    from cluster.terminal.metric_readings import Page

    text = _answer(address, "GET", "/metrics", _PATIENCE_S, {}).text
    try:
        return Page(text)
    except ValueError as error:
        raise CliError(f"The server at {address} is not Rhapsode.", "Check the address.") from error


def _answer(
    address: str, method: str, path: str, patience_s: float, query: Mapping[str, str | int]
) -> httpx.Response:
    url = f"{address.rstrip('/')}{path}"
    try:
        answer = httpx.request(
            method,
            url,
            params=query,
            headers=credential(),
            timeout=patience_s,
            trust_env=False,
            verify=is_encrypted(url),
        )
    except httpx.HTTPError as error:
        raise no_answer(address, error) from error
    if not answer.is_success:
        raise refusal(answer)
    return answer


def no_answer(address: str, error: httpx.HTTPError) -> CliError:
    """Explains a request without an answer: why, and whether to check the address or the system."""
    here = running(home())
    if here is not None and here.url.rstrip("/") == address.rstrip("/"):
        return CliError(f"No answer from {address}: {_reason(error)}.", "See rhapsode status.")
    advice = "Check the address, and whether Rhapsode runs there."
    return CliError(f"No answer from {address}: {_reason(error)}.", advice)


def _reason(error: httpx.HTTPError) -> str:
    """In small: refused, an unknown name, or how long it was waited."""
    if isinstance(error, httpx.TimeoutException):
        return "no reply in time"
    return str(error) or type(error).__name__


def refusal(answer: httpx.Response) -> CliError:
    try:
        problem = answer.json()
        advice = ADVICE.get(problem["code"], f"Code: {problem['code']}.")
        return CliError(f"Refused: {str(problem['detail']).rstrip('.')}.", advice)
    except (ValueError, KeyError, TypeError):
        return CliError(f"Refused with HTTP status {answer.status_code}.", "See rhapsode status.")
