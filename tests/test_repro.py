"""The parallel runner gives what `dvc repro` gives, stops cleanly at any moment, and says in a sentence what failed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import chdir
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from dvc.repo import Repo

from conftest import new_repository, runner
from translab_dvc import command, lockfile, repro, smoke

Stages = dict[str, str | tuple[str, tuple[str, ...]]]
"""Shell scripts by the names of their stages, which write `out/<name>`; with the outputs they need, where they need any."""


def project(folder: Path, stages: Stages) -> Path:
    (folder / "scripts").mkdir(parents=True)
    text = "stages:\n"
    for name, what in stages.items():
        script, needs = (what, ()) if isinstance(what, str) else what
        write_script(folder, name, script)
        deps = ", ".join([f"scripts/{name}.sh", *needs])
        text += (
            f"  {name}:\n    cmd: sh -e scripts/{name}.sh\n    deps: [{deps}]\n    params: [value]\n    outs: [out/{name}]\n"
        )
    (folder / "dvc.yaml").write_text(text)
    (folder / "params.yaml").write_text("machine: {accelerator: cpu, threads: 1}\nvalue: 1\n")
    (folder / ".gitignore").write_text("/out\n/.cache/\n")
    new_repository(folder)
    return folder


def write_script(folder: Path, name: str, script: str) -> None:
    (folder / "scripts" / f"{name}.sh").write_text(f"mkdir -p out\n{script}\n")


def call(folder: Path, *arguments: str, python: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    executable, *rest = runner(*arguments)
    return subprocess.run([executable, *python, *rest], cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def await_file(path: Path) -> str:
    until = time.monotonic() + 60
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < until, f"{path} was not written"
        time.sleep(0.02)
    return path.read_text()


def lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{process}/stat").read_text().split()[2] != "Z" if Path("/proc").exists() else True


def await_end(process: int) -> None:
    until = time.monotonic() + 20
    while lives(process):
        assert time.monotonic() < until, f"process {process} goes on"
        time.sleep(0.05)


def outdated(folder: Path) -> set[str]:
    with chdir(folder), Repo() as repo:
        return set(repo.status())


MEETING = """touch here-{me}
i=0; while [ ! -e here-{other} ]; do i=$((i+1)); [ $i -lt 600 ] || exit 1; sleep 0.05; done
echo {me} > out/{me}"""


def test_independent_instances_run_side_by_side_and_dvc_sees_them_as_its_own(tmp_path: Path) -> None:
    folder = project(
        tmp_path / "p",
        {
            "left": MEETING.format(me="left", other="right"),
            "right": MEETING.format(me="right", other="left"),
            "both": ("cat out/left out/right > out/both", ("out/left", "out/right")),
            "alone": "echo alone > out/alone",
        },
    )
    first = call(folder, "--jobs", "2")
    assert first.returncode == 0, first.stdout + first.stderr
    assert re.search(r"^4 instances to run, 0 up to date; 2 at a time, output in .cache/logs/\.$", first.stdout, re.MULTILINE)
    assert re.search(r"^4/4  (both|alone) +\d+ s   elapsed \d+ s$", first.stdout, re.MULTILINE)
    assert outdated(folder) == set()

    second = call(folder, "--jobs", "2", python=("-X", "importtime"))
    assert second.stdout == "Nothing to do, 4 instances up to date.\n"
    assert "dvc.repo\n" in second.stderr
    assert "torch" not in second.stderr

    ours = (folder / "dvc.lock").read_text()
    (folder / "dvc.lock").unlink()
    subprocess.run([sys.executable, "-m", "dvc", "repro", "-q"], cwd=folder, check=True)
    theirs = (folder / "dvc.lock").read_text()
    names = ["left", "right", "both", "alone"]
    assert {name: lockfile.entry(ours, name) for name in names} == {name: lockfile.entry(theirs, name) for name in names}
    assert sorted(ours.splitlines()) == sorted(theirs.splitlines())


def test_a_dry_run_lists_what_would_run_in_order_and_runs_nothing(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", {"second": ("touch out/second", ("out/first",)), "first": "touch out/first"})
    assert call(folder, "--dry-run").stdout == "first\nsecond\n"
    assert not (folder / "out").exists()


def test_a_failure_is_named_and_what_does_not_depend_on_it_is_kept(tmp_path: Path) -> None:
    failing = "echo a last word; exit 3"
    rest: Stages = {"after": ("touch out/after", ("out/bad",)), "other": "sleep 1; touch out/other"}
    folder = project(tmp_path / "p", {"bad": failing, **rest})
    failed = call(folder, "--jobs", "2")
    assert failed.returncode == 1
    assert "a last word" in failed.stdout
    assert re.fullmatch(
        r"bad failed with exit code 1 after \d+ s; its output is in \.cache/logs/bad\.log\. "
        r"What is finished is kept: run the same command again\.\n",
        failed.stderr,
    )
    assert "after" not in {path.stem for path in (folder / ".cache" / "logs").iterdir()}
    assert outdated(folder) == {"bad", "after"}

    write_script(folder, "bad", "touch out/bad")
    repaired = call(folder, "--jobs", "2")
    assert repaired.returncode == 0
    assert "2 instances to run, 1 up to date" in repaired.stdout


def test_with_keep_going_what_does_not_depend_on_a_failure_still_starts(tmp_path: Path) -> None:
    rest: Stages = {"after": ("touch out/after", ("out/bad",)), "other": "touch out/other"}
    for arguments, expected in (((), {"bad", "after", "other"}), (("--keep-going",), {"bad", "after"})):
        folder = project(tmp_path / f"p{len(arguments)}", {"bad": "exit 3", **rest})
        assert call(folder, "--jobs", "1", *arguments).returncode == 1
        assert outdated(folder) == expected


HALF = """echo half > out/slow
trap "exit 0" TERM INT
echo $$ > running
i=0; while [ $i -lt 1200 ]; do i=$((i+1)); sleep 0.05; done"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_everything_and_half_a_result_is_not_kept(tmp_path: Path, number: int, code: int) -> None:
    folder = project(tmp_path / "p", {"slow": HALF, "quick": "touch out/quick"})
    process = subprocess.Popen(runner("--jobs", "2"), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    training = int(await_file(folder / "running"))
    begin = time.monotonic()
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode == code
    assert time.monotonic() - begin < 8
    assert f"Stopped by {signal.Signals(number).name}; the same command takes it up again.\n" in output
    assert not lives(training)
    assert "slow" in outdated(folder)

    write_script(folder, "slow", HALF.replace("-lt 1200", "-lt 1"))
    assert call(folder, "--jobs", "2").returncode == 0
    assert outdated(folder) == set()


def test_what_does_not_answer_is_stopped_by_force(tmp_path: Path) -> None:
    stubborn = 'trap "" TERM INT; echo $$ > running; i=0; while [ $i -lt 1200 ]; do i=$((i+1)); sleep 0.05; done'
    folder = project(tmp_path / "p", {"slow": stubborn})
    impatient = "from translab_dvc import repro; repro.PATIENCE_SECONDS = 0.5; raise SystemExit(repro.main(['--jobs', '1']))"
    process = subprocess.Popen([sys.executable, "-c", impatient], cwd=folder, stdout=subprocess.DEVNULL)
    training = int(await_file(folder / "running"))
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) == 143
    await_end(training)


def test_a_runner_that_is_killed_leaves_nothing_running(tmp_path: Path) -> None:
    folder = project(tmp_path / "p", {"slow": HALF})
    process = subprocess.Popen(runner("--jobs", "1"), cwd=folder, stdout=subprocess.DEVNULL)
    training = int(await_file(folder / "running"))
    process.kill()
    process.wait()
    await_end(training)
    assert outdated(folder) == {"slow"}


def test_the_comparisons_table_is_shown_even_if_nothing_had_to_run(tmp_path: Path) -> None:
    table = "echo THE TABLE; mkdir -p reports; echo verdicts > reports/claims.md; touch reports/index.html out/compare"
    folder = project(tmp_path / "p", {"compare": table})
    expected = f"\nTHE TABLE\n\nReport: {folder.resolve()}/reports/index.html\n"
    assert call(folder, "--jobs", "1").stdout.endswith(expected)
    assert call(folder, "--jobs", "1").stdout == f"Nothing to do, 1 instance up to date.\n{expected}"
    (folder / ".cache" / "logs" / "compare.log").unlink()
    assert "\nverdicts\n" in call(folder, "--jobs", "1").stdout


def test_jobs_must_be_a_number_of_at_least_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        repro.main(["--jobs", "0"])
    assert "--jobs 0 is not allowed; at least 1 must run." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("accelerator", "threads", "cores", "expected"), [("cpu", 1, 8, 8), ("cpu", 2, 8, 4), ("cpu", 4, 2, 1), ("cuda", 1, 8, 1)]
)
def test_by_default_as_many_run_as_there_are_cores_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, accelerator: str, threads: int, cores: int, expected: int
) -> None:
    (tmp_path / "params.yaml").write_text(f"machine: {{accelerator: {accelerator}, threads: {threads}}}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=64 * repro.GIB))
    assert repro.default_jobs() == expected


def test_the_smoke_tests_copy_holds_what_git_holds_or_would_hold(tmp_path: Path) -> None:
    root, copy = tmp_path / "p", tmp_path / "copy"
    project(root, {"one": "touch out/one"})
    (root / "scripts" / "one.sh").unlink()
    (root / "new").write_text("not committed yet\n")
    (root / "out").mkdir()
    (root / "out" / "ignored").write_text("")
    copy.mkdir()
    smoke.copy_project(root, copy)
    found = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file() and ".git" not in path.parts}
    assert found == {".dvc/.gitignore", ".dvc/config", ".gitignore", "dvc.yaml", "new", "params.yaml"}
    status = subprocess.run(["git", "status", "--short"], cwd=copy, check=True, capture_output=True, text=True)
    assert status.stdout == ""


def test_while_a_stage_runs_nobody_says_what_is_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    root = project(tmp_path / "project", {"a": "mkdir -p out; echo a > out/a"})
    monkeypatch.chdir(root)
    lock = root / ".dvc/tmp/rwlock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    lock.write_text(json.dumps({"write": {str(root / "out/a"): {"pid": os.getppid(), "cmd": "another"}}, "read": {}}))
    sentence = (
        f"{root}: a stage is running (process {os.getppid()}), so what is up to date is not known; ask again when it has ended."
    )
    for call, name in ((repro.main, "repro"), (lambda _: command.main(["plan"]), "translab")):
        assert call([]) == 1
        assert capsys.readouterr().err == f"{name}: {sentence}\n"
