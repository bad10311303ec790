"""On a disk that is full, a stage ends in one sentence and leaves nothing half-written; with room, the same command goes on.

The disk is a small file system in memory. Mounting one takes a right: root has it, others get it in a namespace of their own,
where the system lets them; elsewhere these tests are skipped, and say why.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import fabricated
import toy
from conftest import ROOT
from test_tracking import done, runs
from translab.config import Cleaning, Decoding, Machine, Splitting, Text, check_corpus
from translab.corpora.preparation import prepare
from translab.corpora.sources import fetch_corpus
from translab.evaluation.evaluate import evaluate
from translab.files import sha256
from translab.pretraining.translation import Translation
from translab.report.compare import Report
from translab.stage import run as stage
from translab.text.vocabularies import train_vocabularies
from translab.tracking.publish import publish
from translab.tracking.store import TrackingError, open_store
from translab.training.train import train

CAN_MOUNT = os.getuid() == 0
NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount"]
SIZE = 8 * 1024**2
"""Bytes of the disk."""
PAGE = 4096

on_a_disk = pytest.mark.skipif(not CAN_MOUNT, reason="only root can mount; the last test here tries a namespace")
REMEDY = "make room there, get the right to write, or move what is in the way, and run the same command again."
BASE = toy.run(optimisation={"updates": 12, "validate_every": 3})


class Disk:
    """A small file system."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self, left: int) -> None:
        """Leave so many bytes, up to a page, and no more."""
        free = os.statvfs(self.folder)
        self._ballast.write_bytes(bytes(max(0, free.f_bavail * free.f_frsize - left)))

    def make_room(self) -> None:
        """Empty it of what filled it."""
        self._ballast.unlink()

    def files(self) -> dict[str, str]:
        """The hash of each file on it."""
        paths = (path for path in self.folder.rglob("*") if path.is_file() and path != self._ballast)
        return {path.relative_to(self.folder).as_posix(): sha256(path) for path in sorted(paths)}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)], check=True)
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the stages read: two raw corpora, a text, vocabularies, and a trained model."""
    folder = tmp_path_factory.mktemp("world")
    for task in ("a", "b"):
        lines = [f"{task} says {number} and {number * number}\t{task}说{number}和{number * number}\n" for number in range(3000)]
        (folder / f"{task}.tsv").write_text("".join(lines), encoding="utf-8")
        download(folder / f"{task}.tsv", folder / "raw" / task)
    prepare_in(folder, folder)
    toy.write_text(folder / "toy")
    toy.write_tokenizers(folder / "vocabularies")
    train_in(folder, folder / "runs/1", folder / "checkpoints")
    return folder


def download(file: Path, folder: Path) -> None:
    entry = {
        "kind": "files",
        "source_language": "en",
        "target_language": "zh",
        "licence": "ours",
        "attribution": "us",
        "parts": [{"format": "tsv", "file": str(file), "source": 1, "target": 2}],
    }
    fetch_corpus(file.stem, check_corpus(file.stem, entry), folder, folder / "cache")


def prepare_in(world: Path, folder: Path) -> None:
    cleaning = Cleaning(minimum_length=1, maximum_length=100, maximum_ratio=10.0, simplified_chinese=True)
    raw = {task: world / "raw" / task for task in ("a", "b")}
    prepare(raw, folder / "text", folder / "audit.json", cleaning, Splitting(valid=10, test=20, seed=1))


def train_in(world: Path, folder: Path, checkpoints: Path) -> None:
    train(
        BASE,
        text=world / "toy",
        added=None,
        tokenizers=(world / "vocabularies/source.json", world / "vocabularies/target.json"),
        donor=None,
        folder=folder,
        cost_file=folder.with_suffix(".json"),
        checkpoints=checkpoints,
        log=lambda step, values: None,
    )


def evaluate_in(world: Path, folder: Path) -> None:
    evaluate(
        "base",
        [1],
        runs=world / "runs",
        text=world / "toy",
        folder=folder,
        decoding=Decoding(beam=2, length_penalty=1.0, batch_tokens=500),
        machine=Machine(accelerator="cpu", threads=1, precision="32-true"),
    )


REPORT = Report({"claims.json": ["x" * 20_000]}, {"claims.md": "y" * 20_000}, {"one.svg": "z" * 20_000}, "")
STAGES: dict[str, tuple[Callable[[Path, Path], None], set[str]]] = {
    "download": (lambda world, disk: download(world / "b.tsv", disk / "raw"), {"raw"}),
    "prepare": (prepare_in, {"text/a", "text/b"}),
    "tokenizer": (
        lambda world, disk: train_vocabularies(
            world / "text", disk / "tokenizer", Text(source_types=32, target_types=32, joint=True)
        ),
        {"tokenizer"},
    ),
    "training": (lambda world, disk: train_in(world, disk / "run", disk / "checkpoints"), {"run"}),
    "evaluation": (lambda world, disk: evaluate_in(world, disk / "evaluations"), {"evaluations"}),
    "comparison": (
        lambda world, disk: REPORT.write(disk / "reports"),
        {"reports/claims.json", "reports/claims.md", "reports/figures"},
    ),
}
"""What a stage does, and the places of which it may say that they cannot be written."""


def stopped(monkeypatch: pytest.MonkeyPatch, command: Callable[[], None]) -> str:
    """The sentence with which a stage ends."""
    monkeypatch.setattr(sys, "argv", ["stages/this.py"])
    with pytest.raises(SystemExit) as ended:
        stage(command)
    assert isinstance(ended.value.code, str), "a text is exit code 1"
    return ended.value.code


@on_a_disk
@pytest.mark.parametrize("room", ["none", "half"])
@pytest.mark.parametrize("name", STAGES)
def test_a_stage_says_that_the_disk_is_full_leaves_nothing_half_and_goes_on_with_room(
    disk: Disk, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, room: str
) -> None:
    command, places = STAGES[name]
    command(world, tmp_path / "roomy")
    whole = Disk(tmp_path / "roomy").files()
    size = sum((tmp_path / "roomy" / path).stat().st_size for path in whole)
    disk.fill(left=0 if room == "none" else size // 2)

    sentence = stopped(monkeypatch, lambda: command(world, disk.folder))
    assert sentence in {
        f"stages/this.py: {disk.folder / place} cannot be written: No space left on device; {REMEDY}" for place in places
    }
    left = {path: digest for path, digest in disk.files().items() if not path.startswith("checkpoints/")}
    assert left.items() <= whole.items(), "what is there is whole"

    disk.make_room()
    command(world, disk.folder)
    assert without_costs(disk.files()) == without_costs(whole)


def without_costs(found: dict[str, str]) -> dict[str, str]:
    """All but the file of a training that holds times."""
    return {path: digest for path, digest in found.items() if path != "run.json"}


@on_a_disk
def test_a_training_whose_checkpoints_do_not_fit_says_so_once_and_ends_with_the_same_bytes(
    disk: Disk, world: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk.fill(left=0)
    train_in(world, tmp_path / "run", disk.folder / "checkpoints")
    said = [message for message in caplog.messages if message.startswith("checkpoint: ")]
    assert len(said) == 1 and said[0].startswith(f"checkpoint: {disk.folder / 'checkpoints'} cannot be written (")
    assert said[0].endswith("); training goes on, but after a crash it would start from an older state.")
    assert "No space left on device" in said[0]
    assert Disk(tmp_path / "run").files() == Disk(world / "runs/1").files()
    assert list(disk.files()) == []


@on_a_disk
def test_a_training_whose_results_do_not_fit_trains_nothing_again_when_there_is_room(
    disk: Disk, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk.fill(left=0)
    stopped(monkeypatch, lambda: train_in(world, disk.folder / "run", tmp_path / "checkpoints"))
    assert list(disk.files()) == []
    disk.make_room()
    monkeypatch.setattr(Translation, "loss", None)
    train_in(world, disk.folder / "run", tmp_path / "checkpoints")
    assert Disk(disk.folder / "run").files() == Disk(world / "runs/1").files()


@pytest.fixture
def project(disk: Disk, empty_store: Path) -> Path:
    """A project on the small disk, with an empty store."""
    shutil.copy(empty_store, disk.folder / "mlflow.db")
    fabricated.project(disk.folder, ["base"], [1])
    return disk.folder


FULL = "make room there, and the same command goes on from what is there."


@on_a_disk
@pytest.mark.parametrize("left", [0, 12])
def test_publishing_to_a_full_disk_is_a_sentence_and_goes_on_with_room(disk: Disk, project: Path, left: int) -> None:
    disk.fill(left * PAGE)
    with pytest.raises(TrackingError) as error:
        publish(project, ["base"], [1], None)
    reasons = ("database or disk is full", "[Errno 28] No space left on device")
    store = f"the MLflow store sqlite:///{project / 'mlflow.db'}"
    assert str(error.value) in {f"Publishing to {store} failed ({reason}); {FULL}" for reason in reasons}
    disk.make_room()
    assert sum(done(project, ["base"], [1])["runs"].values()) == 1
    assert done(project, ["base"], [1]) == {"runs": {"unchanged": 1}, "claims": {"unchanged": 3}}
    assert {run.info.status for run in runs(project).values()} == {"FINISHED"}


@on_a_disk
@pytest.mark.parametrize("left", [0, 40])
def test_a_store_that_cannot_be_made_for_want_of_room_is_made_when_there_is_some(disk: Disk, left: int) -> None:
    disk.fill(left * PAGE)
    with pytest.raises(TrackingError) as error:
        open_store(disk.folder)
    assert str(error.value) == (
        f"The MLflow store {disk.folder / 'mlflow.db'} cannot be made: {left * PAGE:,} bytes are free there, and a store "
        "without runs takes 4,194,304 for a moment; make room there, and run the same command again."
    )
    assert not (disk.folder / "mlflow.db").exists()
    disk.make_room()
    assert open_store(disk.folder).search_experiments()


@pytest.mark.skipif(CAN_MOUNT, reason="the tests above can mount by themselves")
def test_all_of_this_where_only_a_namespace_may_mount() -> None:
    if shutil.which("unshare") is None or subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).returncode:
        pytest.skip("this system lets nobody but root mount a file system, not even in a namespace")
    command = [*NAMESPACE, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    tests = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert tests.returncode == 0, tests.stdout
