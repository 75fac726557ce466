"""Downloads models of the manifest into the cache: resumed, checked, and whole or not there."""

import io
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.core.private_files import locked
from pipeline.engines.weights.model_manifest import ModelEntry
from pipeline.engines.weights.prepared_folders import Progress, no_progress, sha256

_COMMIT: Final = re.compile("[0-9a-f]{40}(?:[0-9a-f]{24})?")
_RECORD: Final = "download.json"
_MEGABYTE: Final = 1_000_000
_SLACK: Final = 1.1
_FREE_AFTERWARDS: Final = 500 * _MEGABYTE


class DownloadFailed(ValueError):
    """A model could not be downloaded, or is not what the manifest or the hub says."""


class InstalledModel(BaseModel):
    """Record of a download, beside its files."""

    model_config = ConfigDict(frozen=True)

    name: str
    repository: str
    commit: str
    files: dict[str, str]
    """SHA-256 of each file, by its name in the folder."""


@dataclass(frozen=True, slots=True)
class _RemoteFile:
    path: str
    bytes: int
    sha256: str | None
    """Of large files, as the hub records it; small ones have only git's own hash."""


def folder_of(name: str, cache: Path) -> Path:
    """The folder of a downloaded model."""
    return cache.expanduser() / "models" / name


def installed(cache: Path) -> Iterator[InstalledModel]:
    """The models that have been downloaded whole."""
    for record in sorted(folder_of("", cache).glob(f"*/{_RECORD}")):
        try:
            yield InstalledModel.model_validate_json(record.read_bytes())
        except (OSError, ValidationError):
            continue


def download(
    entry: ModelEntry, cache: Path, progress: Progress = no_progress, *, endpoint: str | None = None
) -> Path:
    """The model's folder, after downloading what is missing of it.

    `endpoint` is the address of a hub; None: HF_ENDPOINT, or Hugging Face's. A download that was broken off
    goes on where it was. Raises DownloadFailed with a sentence that says what to do.
    """
    folder = folder_of(entry.name, cache)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with locked(folder.parent / f".{entry.name}.lock"):
        if _is_whole(folder, entry):
            return folder
        partial = folder.with_name(f".{entry.name}.partial")
        commit, remote = _ask_hub(entry, endpoint)
        _check_room(entry, remote, folder.parent)
        sums = dict(_fetch(entry, commit, remote, partial, progress, endpoint))
        record = InstalledModel(name=entry.name, repository=entry.repository, commit=commit, files=sums)
        shutil.rmtree(folder, ignore_errors=True)
        fresh = folder.with_name(f".{entry.name}.fresh")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        for name in sums:
            (partial / name).rename(fresh / name)
        (fresh / _RECORD).write_text(record.model_dump_json(indent=1), encoding="utf-8")
        fresh.rename(folder)
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def remove(name: str, cache: Path) -> bool:
    """Deletes a model, and what was downloaded of it so far. False if there was nothing."""
    folder = folder_of(name, cache)
    there = [one for one in (folder, folder.with_name(f".{name}.partial")) if one.is_dir()]
    for one in there:
        shutil.rmtree(one)
    return bool(there)


def _is_whole(folder: Path, entry: ModelEntry) -> bool:
    """Whether each file is there with the recorded checksum: reads all of it."""
    try:
        record = InstalledModel.model_validate_json((folder / _RECORD).read_bytes())
    except (OSError, ValidationError):
        return False
    names = {Path(file).name for file in entry.files}
    return names == record.files.keys() and all(
        (folder / name).is_file() and sha256(folder / name) == digest for name, digest in record.files.items()
    )


def _ask_hub(entry: ModelEntry, endpoint: str | None) -> tuple[str, list[_RemoteFile]]:
    """The commit behind the revision, and its files with their sizes and checksums."""
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import RepoFile

    hub = HfApi(endpoint=endpoint)
    with _explained(entry, hub.endpoint):
        commit = hub.model_info(entry.repository, revision=entry.revision, timeout=20).sha
        if commit is None or not _COMMIT.fullmatch(commit):
            raise DownloadFailed(
                f"{hub.endpoint} names no commit for {entry.repository} at {entry.revision}."
            )
        found = hub.get_paths_info(entry.repository, list(entry.files), revision=commit)
    files = [
        _RemoteFile(one.path, one.size, one.lfs.sha256 if one.lfs else None)
        for one in found
        if isinstance(one, RepoFile) and one.path in entry.files
    ]
    if absent := set(entry.files) - {one.path for one in files}:
        raise DownloadFailed(f"{entry.repository} at {commit[:12]} has no {', '.join(sorted(absent))}.")
    return commit, files


def _check_room(entry: ModelEntry, remote: list[_RemoteFile], place: Path) -> None:
    size = sum(one.bytes for one in remote)
    if size > entry.megabytes * _MEGABYTE * _SLACK + _MEGABYTE:
        raise DownloadFailed(
            f"{entry.name} would be {size / _MEGABYTE:,.0f} MB, the manifest says {entry.megabytes:,} MB, "
            "so it is not downloaded."
        )
    free = shutil.disk_usage(place).free
    if free < size + _FREE_AFTERWARDS:
        raise DownloadFailed(
            f"{entry.name} needs {size / _MEGABYTE:,.0f} MB; {free / _MEGABYTE:,.0f} MB are free at {place}."
        )


def _fetch(
    entry: ModelEntry,
    commit: str,
    remote: list[_RemoteFile],
    partial: Path,
    progress: Progress,
    endpoint: str | None,
) -> Iterator[tuple[str, str]]:
    """Yields the name and the SHA-256 of each file once it is there and right."""
    from huggingface_hub import constants

    total, before = sum(one.bytes for one in remote) or 1, 0
    partial.mkdir(exist_ok=True)
    for one in remote:
        file = partial / f"{commit[:12]}-{Path(one.path).name}"
        with _explained(entry, endpoint or constants.ENDPOINT):
            _get(entry.repository, commit, one, file, _bar(entry.name, progress, before, total), endpoint)
        digest = sha256(file)
        expected = entry.sha256.get(one.path) or one.sha256
        if expected not in (None, digest) or file.stat().st_size != one.bytes:
            file.unlink()
            raise DownloadFailed(
                f"{one.path} came with another checksum than {entry.repository} records for it, and was "
                "deleted. Try again; if it happens again, a proxy or mirror in between changes files."
            )
        before += one.bytes
        file.rename(partial / Path(one.path).name)
        yield Path(one.path).name, digest
    progress(entry.name, 1.0)


def _get(repository: str, commit: str, one: _RemoteFile, file: Path, bar: Any, endpoint: str | None) -> None:
    """Appends to `file` what it lacks. `hf_hub_download` would begin anew after an interruption."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils._headers import build_hf_headers

    url = hf_hub_url(repository, one.path, revision=commit, endpoint=endpoint)
    place, headers = get_hf_file_metadata(url, endpoint=endpoint).location, build_hf_headers()
    if urlsplit(place).netloc != urlsplit(url).netloc:
        headers.pop("authorization", None)  # the token is the hub's, not the content network's
    with file.open("ab") as out:
        if out.tell() > one.bytes:
            out.truncate(0)
        if out.tell() < one.bytes:
            size = one.bytes
            http_get(place, out, resume_size=out.tell(), headers=headers, expected_size=size, tqdm_class=bar)


def _bar(name: str, progress: Progress, before: int, total: int) -> Any:
    """A tqdm class that reports to `progress` and draws nothing."""
    from tqdm.auto import tqdm

    class Reporting(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **given: Any) -> None:
            given.pop("name", None)
            super().__init__(*args, **{**given, "disable": False, "file": io.StringIO()})
            progress(name, min(1.0, (before + self.n) / total))

        def update(self, n: float | None = 1) -> None:
            super().update(n)
            progress(name, min(1.0, (before + self.n) / total))

    return Reporting


@contextmanager
def _explained(entry: ModelEntry, endpoint: str) -> Iterator[None]:
    """Errors of the hub's library become DownloadFailed."""
    import httpx2
    from huggingface_hub import errors

    try:
        yield
    except errors.OfflineModeIsEnabled as error:
        raise DownloadFailed("HF_HUB_OFFLINE is set: unset it to download models.") from error
    except errors.GatedRepoError as error:
        address = f"{endpoint}/{entry.repository}"
        raise DownloadFailed(f"Accept the licence at {address} first, then set HF_TOKEN.") from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.EntryNotFoundError) as error:
        raise DownloadFailed(f"{endpoint} has no {entry.repository} at {entry.revision}.") from error
    except (httpx2.HTTPError, OSError) as error:  # errors of the library's own are among them
        why = (str(error).splitlines() or [type(error).__name__])[0]
        raise DownloadFailed(
            f"{endpoint} could not be reached, or broke off: {why}. The downloaded part is kept, and the "
            "same command goes on from there. HTTPS_PROXY and HF_ENDPOINT are honoured."
        ) from error
