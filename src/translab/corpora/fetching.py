"""Fetching files over http(s): resumed after a broken connection, and kept only if the SHA-256 is the declared one.

(pooch, the usual choice, starts again from nothing when a connection breaks.) Bytes arrive in `<cache>/<sha256>/`; a file lies
there under its own name only when it is whole and right, and as `.part` until then, so that the next attempt, or the next run,
asks for the rest alone. Addresses and redirects are http or https, nothing else.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from urllib.parse import urljoin, urlsplit

import requests
from tqdm import tqdm

from translab.config import without_secrets
from translab.files import sha256, written

ATTEMPTS = 5
REDIRECTS = 5
TIMEOUT = (10, 60)
"""Seconds to connect, and seconds of silence."""
CHUNK = 1 << 14
"""Bytes read at a time; what a broken connection loses at most."""
PASSING_STATUS = {408, 425, 429, 500, 502, 503, 504}
"""Answers after which asking again makes sense."""
HEADERS = {
    # Some providers refuse Python's default user agent.
    "User-Agent": "translab (reproducible translation experiments; python-requests)",
    # A byte range must be of the file itself, not of a compressed transfer.
    "Accept-Encoding": "identity",
}


class DownloadError(ValueError):
    """A file could not be fetched; the message says why and what to do, and holds no secret of an address."""

    def __init__(self, sentence: str) -> None:
        super().__init__(without_secrets(sentence))


class _PassingError(Exception):
    """A failure that may be gone at the next attempt."""


def fetch(url: str, digest: str, name: str, cache: Path, pauses: Sequence[float] = (1, 2, 4, 8)) -> Path:
    """The path of a checked local copy of a file.

    Args:
        url: its address.
        digest: the SHA-256 it must have.
        name: the name of the copy.
        cache: folder of all copies, by SHA-256.
        pauses: seconds between attempts.

    Raises:
        DownloadError: if the file cannot be had, or is not the declared one.
        UnwritableError: if there is no room for it; what has come is kept.
    """
    target = cache / digest / name
    if target.is_file() and sha256(target) == digest:
        return target
    part = target.with_name(f"{name}.part")
    with written(target, target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(part.with_name(f"{name}.lock")):
            _fetch_checked(url, digest, part, name, pauses)
            part.replace(target)
    return target


def _fetch_checked(url: str, digest: str, part: Path, name: str, pauses: Sequence[float]) -> None:
    resumed = part.exists() and part.stat().st_size > 0
    _fetch_rest(url, part, name, pauses)
    if resumed and sha256(part) != digest:
        # The rest may belong to another version of the file than the beginning.
        part.unlink()
        _fetch_rest(url, part, name, pauses)
    found = sha256(part)
    if found != digest:
        with part.open("rb") as file:
            page = file.read(512).lstrip().lower().startswith((b"<!doctype html", b"<html"))
        part.unlink()
        reason = (
            "the server sent a web page instead of the file" if page else "the provider changed the file, or it was damaged"
        )
        raise DownloadError(
            f"{url} has sha256 {found}, expected {digest}: {reason}; look at the address, and declare the new hash in "
            "corpora.yaml if the new file is the one you want."
        )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fetch_rest(url: str, part: Path, name: str, pauses: Sequence[float]) -> None:
    failures: list[str] = []
    for pause in (*pauses[: ATTEMPTS - 1], None):
        try:
            return _attempt(url, part, name)
        except (_PassingError, requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
            failures.append(str(error))
        except requests.RequestException as error:
            raise DownloadError(f"{url} could not be fetched: {error}; look at the address in corpora.yaml.") from None
        if pause is not None:
            time.sleep(pause)
    have = part.stat().st_size if part.exists() else 0
    raise DownloadError(
        f"{url} could not be fetched in {len(failures)} attempts, the last one failed with: {failures[-1]}; "
        f"{have:,} bytes are kept: run the command again to go on from there."
    )


def _attempt(url: str, part: Path, name: str) -> None:
    have = part.stat().st_size if part.exists() else 0
    with _get(url, {"Range": f"bytes={have}-"} if have else {}) as response:
        status = response.status_code
        if status in PASSING_STATUS:
            raise _PassingError(f"the server answered {status} {response.reason}")
        if status == 416:
            # Nothing lies behind what is here: it is whole, or another file; the hash decides.
            return
        if status not in (200, 206):
            raise DownloadError(f"{url}: the server answered {status} {response.reason}; look at the address in corpora.yaml.")
        if status == 206 and not response.headers.get("Content-Range", "").startswith(f"bytes {have}-"):
            part.unlink(missing_ok=True)
            raise _PassingError("the server sent another range than it was asked for")
        if status == 200:
            have = 0
        length = int(response.headers.get("Content-Length") or 0)
        with part.open("ab" if have else "wb") as file:
            _copy(response, file, name, have, have + length if length else None)


def _copy(response: requests.Response, file: IO[bytes], name: str, have: int, total: int | None) -> None:
    # disable=None: no bar where stderr is not a terminal.
    with tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=name, disable=None) as bar:
        for chunk in response.iter_content(CHUNK):
            file.write(chunk)
            bar.update(len(chunk))
            have += len(chunk)
    if total is not None and have < total:
        raise _PassingError(f"the connection ended after {have:,} of {total:,} bytes")


@contextmanager
def _get(url: str, headers: dict[str, str]) -> Iterator[requests.Response]:
    """An open answer, redirects followed one by one so that each address is looked at."""
    first = url
    with requests.Session() as session:
        for _ in range(REDIRECTS + 1):
            if urlsplit(url).scheme not in ("http", "https"):
                raise DownloadError(f"{first} leads to {url}; only http and https are followed.")
            response = session.get(url, headers=HEADERS | headers, stream=True, timeout=TIMEOUT, allow_redirects=False)
            with response:
                if not response.is_redirect:
                    yield response
                    return
                url = urljoin(url, response.headers["Location"])
    raise DownloadError(f"{first} was redirected more than {REDIRECTS} times; look at the address in corpora.yaml.")
