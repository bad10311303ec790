"""What docs/security.md promises: nothing that is read is executed, no secret is written, servers answer to loopback alone."""

from __future__ import annotations

import ast
import asyncio
import hashlib
import http.client
import os
import re
import stat
import threading
import warnings
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import safetensors.torch
import torch

import fabricated
import scored
import toy
from conftest import ROOT
from translab import files
from translab.config import ConfigError, check_corpus, without_secrets
from translab.corpora.fetching import DownloadError, fetch
from translab.corpora.sources import fetch_corpus
from translab.params import read_yaml
from translab.report.compare import compare
from translab.tracking import live, live_run
from translab.tracking.dashboard import HOST, log_file, server
from translab.tracking.figures import attention
from translab.tracking.follow import Follower
from translab.tracking.models import model_folder
from translab.tracking.publish import publish
from translab.tracking.serving import application, serve
from translab.tracking.store import TrackingError, open_store
from translab.training.train import train
from translab_dvc import licences

TOKEN = "made-up-token-5e1f"

# ---- nothing that is read is executed

CODE = [path for folder in ("src", "stages", "benchmarks") for path in sorted((ROOT / folder).rglob("*.py"))]
FORBIDDEN_MODULES = {"pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve", "yaml"}
FORBIDDEN_CALLS = {
    *("eval", "exec", "compile", "__import__"),
    *("torch.load", "torch.hub.load", "torch.jit.load"),
    *("np.fromregex", "numpy.fromregex", "pd.read_pickle", "pandas.read_pickle"),
    *("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "pty.spawn", "commands.getoutput"),
    *("tempfile.mktemp",),
}
FORBIDDEN_ARGUMENTS = {"trust_remote_code", "allow_pickle", "shell"}
"""Arguments that may only be false; most often they are left out."""
STARTERS = {f"subprocess.{kind}" for kind in ("run", "Popen", "call", "check_call", "check_output")}
ALLOWED = {
    ("src/translab_dvc/forkserver.py", "exec"): "a stage's own script, in a process of its own, as `python <script>` runs it",
    ("src/translab_dvc/forkserver.py", "compile"): "the same",
}


def name(node: ast.expr) -> str:
    """`a.b.c` of an expression of names; empty for any other."""
    if isinstance(node, ast.Attribute):
        return f"{name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def dangers(source: str) -> set[str]:
    """What of the forbidden a file of code uses."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.partition(".")[0] in FORBIDDEN_MODULES}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or ""} if (node.module or "").partition(".")[0] in FORBIDDEN_MODULES else set()
            found |= {f"{node.module}.{alias.name}" for alias in node.names} & FORBIDDEN_CALLS
        elif isinstance(node, ast.Call):
            found |= {name(node.func)} & FORBIDDEN_CALLS
            for argument in node.keywords:
                harmless = isinstance(argument.value, ast.Constant) and argument.value.value is False
                if argument.arg in FORBIDDEN_ARGUMENTS and not harmless:
                    found.add(str(argument.arg))
            if name(node.func) == "YAML" and {
                argument.arg: argument.value.value for argument in node.keywords if isinstance(argument.value, ast.Constant)
            } == {"typ": "unsafe"}:
                found.add("YAML unsafe")
    return found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import pickle", {"pickle"}),
        ("from joblib import load", {"joblib"}),
        ("import torch\ntorch.load(path)", {"torch.load"}),
        ("from torch import load", {"torch.load"}),
        ("np.load(path, allow_pickle=True)", {"allow_pickle"}),
        ("np.load(path, allow_pickle=False)", set()),
        ("datasets.load_dataset(name, trust_remote_code=wish)", {"trust_remote_code"}),
        ("subprocess.run(text, shell=True)", {"shell"}),
        ("os.system(text)", {"os.system"}),
        ("import yaml", {"yaml"}),
        ("YAML(typ='unsafe')", {"YAML unsafe"}),
        ("YAML(typ='safe')", set()),
        ("eval(text)", {"eval"}),
        ("model.eval()", set()),
    ],
)
def test_the_scan_sees_what_it_looks_for(source: str, expected: set[str]) -> None:
    assert dangers(source) == expected


def test_no_code_unpickles_evaluates_or_hands_data_to_a_shell() -> None:
    assert len(CODE) > 150
    found = {(path.relative_to(ROOT).as_posix(), danger) for path in CODE for danger in dangers(path.read_text("utf-8"))}
    assert found == set(ALLOWED)


def test_commands_are_lists_and_none_of_them_begins_a_shell() -> None:
    commands = [
        (path.name, ast.unparse(node.args[0]))
        for path in CODE
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and name(node.func) in STARTERS
    ]
    assert len(commands) >= 8
    texts = [(file, command) for file, command in commands if not command.startswith("[")]
    # A command that has a name was looked at: it is a list where it is made.
    assert {command for _, command in texts} <= {"command", "listed", "argv"}, texts
    assert not [command for _, command in commands if re.search(r"""^\[['"](ba|da|z|)sh['"]|['"]-c['"]""", command)]


def test_a_pickle_in_place_of_weights_is_refused_and_not_run(tmp_path: Path) -> None:
    import pickle

    class Trap:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "trapped"),)

    for file in ("model.safetensors", "pickle.safetensors"):
        if file.startswith("model"):
            torch.save({"x": Trap()}, tmp_path / file)
        else:
            (tmp_path / file).write_bytes(pickle.dumps(Trap()))
        with pytest.raises(safetensors.SafetensorError):
            safetensors.torch.load_file(tmp_path / file)
    assert not (tmp_path / "trapped").exists()
    pickle.loads((tmp_path / "pickle.safetensors").read_bytes())
    assert (tmp_path / "trapped").exists(), "the trap works where a pickle is read"


# ---- no secret is written


def tracks(folder: Path) -> list[str]:
    """The files under a folder, and their names, in which the token is."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in paths if TOKEN.encode() in path.read_bytes() or TOKEN in str(path)]


def test_the_search_finds_a_token(tmp_path: Path) -> None:
    files.write_text(tmp_path / "a" / "log", f"x{TOKEN}y")
    assert tracks(tmp_path) == [str(tmp_path / "a" / "log")]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"https://me:{TOKEN}@example.org/x.zip", "https://***@example.org/x.zip"),
        (f"https://{TOKEN}@example.org/x.zip", "https://***@example.org/x.zip"),
        (f"https://me:{TOKEN}@x@example.org/x.zip", "https://***@example.org/x.zip"),
        (f"https://example.org/x.zip?token={TOKEN}&b=1 failed", "https://example.org/x.zip?*** failed"),
        (f"Max retries exceeded with url: /x?a=1&key={TOKEN} (Caused by", "Max retries exceeded with url: /x?*** (Caused by"),
        (f"postgresql://host/base?user=me&password={TOKEN}", "postgresql://host/base?***"),
        ("sqlite:////home/me/mlflow.db", "sqlite:////home/me/mlflow.db"),
        ("Did you mean `heads`? heads=2 is one.", "Did you mean `heads`? heads=2 is one."),
    ],
)
def test_addresses_are_shown_without_what_may_be_secret(text: str, shown: str) -> None:
    assert without_secrets(text) == shown


CORPUS = {"source_language": "en", "target_language": "zh", "licence": "ours", "attribution": "us", "kind": "url"}


@pytest.mark.parametrize("scheme", ["https", "ftp"])
def test_a_user_in_the_address_of_a_download_is_refused_without_being_shown(scheme: str) -> None:
    url = f"{scheme}://me:{TOKEN}@example.org/pairs.tsv"
    part = {"format": "tsv", "file": "pairs.tsv", "source": 1, "target": 2}
    with pytest.raises(ConfigError) as error:
        check_corpus("mine", CORPUS | {"downloads": {"pairs.tsv": {"url": url, "sha256": "0" * 64}}, "parts": [part]})
    assert TOKEN not in str(error.value)
    if scheme == "https":
        assert str(error.value) == (
            "corpora.yaml: mine.downloads.pairs.tsv.url: the address holds a user or a password; leave them out, and name them "
            "for this host in ~/.netrc."
        )


PAIRS = "I swim.\t我。\n".encode() * 40


class Guarded(BaseHTTPRequestHandler):
    """Gives a file to whoever brings the token, in the address or as a password; sends others about."""

    def do_GET(self) -> None:
        path, _, query = self.path.partition("?")
        if path == "/away":
            self.answer(302, Location=f"http://127.0.0.1:9/x?token={TOKEN}")
        elif path == "/strange":
            self.answer(302, Location=f"gopher://me:{TOKEN}@127.0.0.1/x?token={TOKEN}")
        elif path == "/nowhere":
            self.answer(302, Location=f"http://?token={TOKEN}")
        elif path == "/round":
            self.answer(302, Location=f"/round?token={TOKEN}")
        elif path == "/pairs.tsv" and (TOKEN in query or self.headers.get("Authorization")):
            self.answer(200, PAIRS)
        else:
            self.answer(404)

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for header, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(header, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def provider() -> Iterator[str]:
    http_server = ThreadingHTTPServer(("127.0.0.1", 0), Guarded)
    thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{http_server.server_port}"
    http_server.shutdown()
    thread.join()
    http_server.server_close()


def entry(url: str, digest: str) -> Any:
    part = {"format": "tsv", "file": "pairs.tsv", "source": 1, "target": 2}
    return check_corpus("mine", CORPUS | {"downloads": {"pairs.tsv": {"url": url, "sha256": digest}}, "parts": [part]})


def test_a_token_of_a_download_is_nowhere_in_what_is_written_or_said(
    tmp_path: Path, provider: str, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    digest = hashlib.sha256(PAIRS).hexdigest()
    caplog.set_level("INFO")
    manifest = fetch_corpus("mine", entry(f"{provider}/pairs.tsv?token={TOKEN}", digest), tmp_path / "raw", tmp_path / "cache")
    assert manifest["source"] == {"pairs.tsv": f"{provider}/pairs.tsv"}
    sentences = []
    for path in ("pairs.tsv", "missing", "away", "strange", "nowhere", "round"):
        with pytest.raises(DownloadError) as error:
            fetch(f"{provider}/{path}?token={TOKEN}", "0" * 64, "x", tmp_path / "cache", pauses=(0, 0, 0, 0))
        sentences.append(str(error.value))
    assert sentences[1] == f"{provider}/missing?***: the server answered 404 Not Found; look at the address in corpora.yaml."
    assert sentences[3] == f"{provider}/strange?*** leads to gopher://***@127.0.0.1/x?***; only http and https are followed."
    written = capfd.readouterr()
    assert TOKEN not in "\n".join([*sentences, *caplog.messages, written.out, written.err])
    assert tracks(tmp_path) == []


def test_a_user_and_a_password_come_from_netrc(tmp_path: Path, provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    digest = hashlib.sha256(PAIRS).hexdigest()
    files.write_text(tmp_path / "netrc", f"machine 127.0.0.1 login me password {TOKEN}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    fetch_corpus("mine", entry(f"{provider}/pairs.tsv", digest), tmp_path / "raw", tmp_path / "cache")
    assert tracks(tmp_path) == [str(tmp_path / "netrc")]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow asks once; no process beside a run; secrets in the surroundings, as they are where people work."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr(live, "_start_follower", lambda root: None)
    for variable in ("HF_TOKEN", "MLFLOW_TRACKING_PASSWORD", "AWS_SECRET_ACCESS_KEY", "GITHUB_TOKEN"):
        monkeypatch.setenv(variable, TOKEN)


def trained(root: Path) -> None:
    """One training with a live run, in a project."""
    toy.write_text(root / "toy")
    run = toy.run()
    with live_run(run.model_dump(mode="json"), root) as journal:
        train(
            run,
            text=root / "toy",
            added=None,
            tokenizers=toy.write_tokenizers(root / "vocabularies"),
            donor=None,
            folder=root / "run",
            cost_file=root / "cost.json",
            checkpoints=root / "checkpoints",
            log=journal.log,
        )


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("address", ["http://me:{}@127.0.0.1:9", "http://{}@127.0.0.1:9"])
def test_a_token_in_the_address_of_a_server_that_is_away_is_nowhere_in_what_is_written_or_said(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    address: str,
) -> None:
    caplog.set_level("DEBUG", logger="translab")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address.format(TOKEN))
    monkeypatch.chdir(tmp_path)
    fabricated.project(tmp_path, ["base"], [1])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trained(tmp_path)
        Follower(tmp_path).cycle()
    sentences = [str(warning.message) for warning in caught]
    for attempt in (lambda: publish(tmp_path, ["base"], [1], None), lambda: model_folder("models:/x@best")):
        with pytest.raises(TrackingError) as error:
            attempt()
        sentences.append(str(error.value))
    assert sentences[-1].startswith("models:/x@best cannot be fetched from the MLflow store http://***@127.0.0.1:9 (")
    written = capfd.readouterr()
    assert "sending failed" in caplog.text, "the follower noted what kept it from sending"
    assert TOKEN not in "\n".join([*sentences, caplog.text, written.out, written.err])
    assert live.trouble_file(tmp_path).exists()
    assert tracks(tmp_path) == []


@pytest.mark.usefixtures("hurried")
def test_the_dashboard_answers_to_loopback_alone_and_no_secret_comes_into_the_store_a_log_or_a_command_line(
    tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    monkeypatch.setattr("translab.tracking.dashboard.START_SECONDS", 280.0)
    # What a person may have set for other servers opens nothing here.
    monkeypatch.setenv("MLFLOW_SERVER_ALLOWED_HOSTS", "*")
    monkeypatch.setenv("MLFLOW_HOST", "0.0.0.0")
    monkeypatch.setenv("MLFLOW_SERVER_DISABLE_SECURITY_MIDDLEWARE", "true")
    fabricated.project(tmp_path, ["base"], [1])
    port = free_port()
    with server(tmp_path, port) as (address, process):
        listening = {
            connection.laddr.ip
            for each in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
            for connection in each.net_connections(kind="inet")
            if connection.status == psutil.CONN_LISTEN
        }
        assert listening == {HOST}
        answers = {
            name: status(port, name) for name in (f"127.0.0.1:{port}", f"localhost:{port}", "evil.example", "10.evil.example")
        }
        assert answers == {f"127.0.0.1:{port}": 200, f"localhost:{port}": 200, "evil.example": 403, "10.evil.example": 403}
        assert "sqlite" not in " ".join(psutil.Process(process.pid).cmdline()), "an address may hold a password"

        monkeypatch.setenv("MLFLOW_TRACKING_URI", address.replace("//", f"//me:{TOKEN}@"))
        with live_run(fabricated.config("base", 1), tmp_path) as run:
            run.log(100, {"valid_loss": 1.0})
        Follower(tmp_path).cycle()
        assert publish(tmp_path, ["base"], [1], None)["runs"]["created"] + 1
        found = open_store(tmp_path).search_runs(["1", "2", "3"])
        assert {"base-1", "report"} <= {each.info.run_name for each in found}
    written = capfd.readouterr()
    assert TOKEN not in written.out + written.err
    assert log_file(tmp_path).exists()
    assert tracks(tmp_path) == []


def status(port: int, host: str) -> int:
    """How the server answers to a request that asks for this host."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", "/ajax-api/2.0/mlflow/experiments/search?max_results=1", headers={"Host": host})
        return connection.getresponse().status
    finally:
        connection.close()


def free_port() -> int:
    http_server = ThreadingHTTPServer(("127.0.0.1", 0), Guarded)
    http_server.server_close()
    return int(http_server.server_port)


# ---- the server of the best model


def test_the_best_model_is_served_on_loopback_to_requests_that_name_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_MLFLOW_IS_IN_SERVING_ENVIRONMENT", "false")  # MLflow sets it for good
    model: Any = SimpleNamespace(metadata=SimpleNamespace(get_input_schema=lambda: None))
    served = application(model)

    async def ask(host: str) -> int:
        scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http"}
        scope |= {"path": "/health", "raw_path": b"/health", "query_string": b"", "headers": [(b"host", host.encode())]}
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await served(scope | {"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 5000)}, receive, send)
        return int(sent[0]["status"])

    answers = {
        host: asyncio.run(ask(host)) for host in ("127.0.0.1:5000", "localhost:5000", "evil.example", "localhost.evil.example")
    }
    assert answers == {"127.0.0.1:5000": 200, "localhost:5000": 200, "evil.example": 400, "localhost.evil.example": 400}


def test_a_model_that_was_not_published_is_not_served_in_a_sentence(tmp_path: Path, empty_store: Path) -> None:
    with pytest.raises(TrackingError) as error:
        serve(tmp_path, 5000)
    assert str(error.value) == (
        f"{tmp_path / 'data/published.json'} names no model to be served; `make repro` trains and publishes one, "
        "`make publish` publishes what is trained."
    )
    (tmp_path / "mlflow.db").write_bytes(empty_store.read_bytes())
    files.write_json(tmp_path / "data/published.json", {"model": {"model": "translab-toy"}})
    with pytest.raises(TrackingError) as error:
        serve(tmp_path, 5000)
    assert str(error.value).startswith(
        f"models:/translab-toy@best cannot be loaded from the MLflow store sqlite:///{tmp_path / 'mlflow.db'} ("
    )
    assert str(error.value).endswith("); `make publish` registers it.")


# ---- files and pages


def test_nobody_but_the_owner_can_change_what_is_written(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        trained(tmp_path)
        files.write_table(tmp_path / "table.parquet", files.read_table(tmp_path / "toy/train.parquet"))
    finally:
        os.umask(before)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_file()}
    assert len(modes) > 8
    assert [path for path, mode in modes.items() if mode & 0o133] == []


def test_temporary_files_lie_beside_their_place_or_in_folders_of_their_owner_alone() -> None:
    shared = re.compile(r"""['"]/(tmp|var/tmp|dev/shm)\b""")
    assert [path.name for path in CODE if shared.search(path.read_text("utf-8"))] == []


SCRIPT = "<script>alert('1')</script>"


def test_text_of_a_corpus_is_text_in_the_report_and_its_figures(tmp_path: Path) -> None:
    data = scored.project(tmp_path / "data", [1], sentences=12, variants=("base", "heads-1"))
    for path in data.rglob("sentences.parquet"):
        table = files.read_table(path)
        for column in ("source", "reference", "hypothesis"):
            texts = [f"{SCRIPT}{text}" for text in table[column].to_pylist()]
            table = table.set_column(table.column_names.index(column), table.schema.field(column), [texts])
        files.write_table(path, table)
    for path in data.rglob("attention.json"):
        maps = files.read_json(path)
        for sentence in maps:
            sentence["source_tokens"][0] = sentence["target_tokens"][0] = SCRIPT
        files.write_json(path, maps)
    report = compare(scored.values([1], ("base", "heads-1"), resamples=50), scored.names(("base", "heads-1")), [], data)
    page = report.text["index.html"]
    assert page.count("&lt;script&gt;alert(") > 4
    for content in (*report.text.values(), *report.figures.values(), attention(maps[0])):
        assert "<script" not in content
    assert "&lt;script&gt;" in attention(maps[0]), "the figure of MLflow holds the word"


# ---- licences


def test_every_dependency_has_a_licence_that_somebody_has_looked_at() -> None:
    assert licences.tables() in (ROOT / "docs/security.md").read_text("utf-8"), (
        "python -m translab_dvc.licences prints the tables"
    )


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({"license_expression": "MIT"}, "MIT"),
        ({"license_expression": "MPL-2.0 AND (Apache-2.0 OR MIT)"}, "MPL-2.0 AND (Apache-2.0 OR MIT)"),
        ({"classifier": ["License :: OSI Approved :: BSD License"], "license": "a long text"}, "BSD"),
        ({"license": "AGPL-3.0"}, None),
        ({"license_expression": "MIT OR AGPL-3.0-only"}, None),
        ({"classifier": ["License :: OSI Approved :: GNU General Public License v3 (GPLv3)"]}, None),
        ({}, None),
    ],
)
def test_a_licence_that_nobody_has_looked_at_is_refused(
    monkeypatch: pytest.MonkeyPatch, metadata: dict[str, Any], expected: str | None
) -> None:
    monkeypatch.setattr(licences, "metadata", lambda package: type("Metadata", (), {"json": metadata}))
    if expected is not None:
        assert licences.licence("new") == expected
        return
    with pytest.raises(licences.LicenceError) as error:
        licences.licence("new")
    stated = licences._stated(metadata) or "a licence that its metadata do not name"
    assert str(error.value) == (
        f"new comes under {stated}, which nobody has looked at; read its terms, then name it in ALLOWED or REVIEWED of "
        "src/translab_dvc/licences.py, or do without the package."
    )


def test_every_corpus_names_its_licence_and_the_table_holds_it() -> None:
    text = (ROOT / "docs/security.md").read_text("utf-8")
    for corpus, entry in read_yaml(ROOT / "corpora.yaml").items():
        if not corpus.endswith("-tiny"):
            assert f"| `{corpus}` | {entry['licence']} |" in text
