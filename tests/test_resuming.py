"""A training that was stopped at any moment goes on, and ends with the bytes of one that was not."""

from __future__ import annotations

import fcntl
import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

import toy
from translab import files
from translab.config import Run, RunValues
from translab.files import sha256
from translab.pretraining.masked import Masked
from translab.pretraining.translation import Translation
from translab.training import checkpoints
from translab.training import train as training
from translab.training.checkpoints import Checkpoint, CheckpointError, opened
from translab.training.train import train

STEPS = {"updates": 12, "validate_every": 3}
DONOR = {"source": "donor", "ladder": "encoder", "shallow_layers": 2, "dropout": True, "features": None}
RUNS = {
    "base": toy.run(optimisation=STEPS),
    "epochs end between validations": toy.run(optimisation=STEPS, batch={"tokens": 400, "bucketing": False}),
    "stopped early": toy.run(optimisation={"updates": 30, "validate_every": 3, "patience": 2, "learning_rate": 1.0}),
    "masked": toy.run(optimisation=STEPS, stage="pretrain", method="masked", method_values={"rate": 0.3}),
    "frozen": toy.run(optimisation=STEPS, stage="finetune", transfer=DONOR | {"surgery": "frozen", "train": "never"}),
    "gradual": toy.run(optimisation=STEPS, stage="finetune", transfer=DONOR | {"surgery": "gradual", "train": "gradually"}),
}


class StoppedError(Exception):
    """Stands for whatever ends a training."""


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toys")
    toy.write_text(folder / "text")
    toy.write_tokenizers(folder / "tokenizer")
    trained(folder, toy.run(seed=3), folder / "donor")
    return folder


@pytest.fixture(scope="module")
def whole(toys: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """The bytes of each run that nothing stopped."""
    folder = tmp_path_factory.mktemp("whole")
    return {name: hashes(trained(toys, run, folder / str(place))) for place, (name, run) in enumerate(RUNS.items())}


def trained(toys: Path, run: Run, folder: Path, log: Any = lambda step, values: None) -> Path:
    train(
        run,
        text=toys / "text",
        added=None,
        tokenizers=(toys / "tokenizer/source.json", toys / "tokenizer/target.json"),
        donor=toys / "donor" if run.transfer else None,
        folder=folder,
        cost_file=folder.with_suffix(".json"),
        checkpoints=folder.with_suffix(".checkpoints"),
        log=log,
    )
    return folder


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: sha256(path) for path in sorted(folder.iterdir())}


def at(wanted: int) -> Callable[[int, Mapping[str, float]], None]:
    """Stops a training while it reports the validation of this update."""

    def stop(step: int, values: Mapping[str, float]) -> None:
        if step == wanted:
            raise StoppedError

    return stop


def left(folder: Path) -> list[int]:
    """Updates of the checkpoints that lie there."""
    return sorted(int(path.stem.split("-")[1]) for path in folder.with_suffix(".checkpoints").glob("*.safetensors"))


@pytest.mark.parametrize("name", RUNS)
@pytest.mark.parametrize("stops", [[6], [9, 12], [3, 6, 9]])
def test_a_training_that_was_stopped_ends_with_the_same_bytes(
    toys: Path, whole: dict[str, dict[str, str]], tmp_path: Path, name: str, stops: list[int]
) -> None:
    for update in stops:
        if name != "stopped early" or update <= 9:  # it has three validations, and none after the first is better
            with pytest.raises(StoppedError):
                trained(toys, RUNS[name], tmp_path / "run", at(update))
    assert not (tmp_path / "run").exists()
    seen: list[int] = []
    found = hashes(trained(toys, RUNS[name], tmp_path / "run", lambda step, values: seen.append(step)))
    assert found == whole[name]
    stopped_early = files.read_json(tmp_path / "run/metrics.json")["stopped_early"]
    assert stopped_early is (name == "stopped early")
    assert seen == sorted(set(seen)), "whoever follows the run is told of each validation once, those before included"
    assert seen[0] == 3
    assert not (tmp_path / "run.checkpoints").exists()


def test_only_what_came_after_the_last_validation_is_done_again(toys: Path, tmp_path: Path, monkeypatch: Any) -> None:
    made: list[int] = []
    loss = Translation.loss
    monkeypatch.setattr(Translation, "loss", lambda self, batch: (made.append(1), loss(self, batch))[1])
    with pytest.raises(StoppedError):
        trained(toys, RUNS["base"], tmp_path / "run", at(9))
    assert (len(made), left(tmp_path / "run")) == (9, [3, 6])
    trained(toys, RUNS["base"], tmp_path / "run")
    assert len(made) == 9 + 6


def test_a_stop_in_the_middle_of_an_update_loses_no_bit(
    toys: Path, whole: dict[str, dict[str, str]], tmp_path: Path, monkeypatch: Any
) -> None:
    calls = iter(range(100))
    loss = Masked.loss

    def stopping(self: Masked, batch: Any) -> Any:
        found = loss(self, batch)
        if next(calls) == 7:
            raise StoppedError
        return found

    monkeypatch.setattr(Masked, "loss", stopping)
    with pytest.raises(StoppedError):
        trained(toys, RUNS["masked"], tmp_path / "run")
    torch.manual_seed(99)  # another process would have other generators
    assert hashes(trained(toys, RUNS["masked"], tmp_path / "run")) == whole["masked"]


def test_a_stop_while_results_are_written_trains_nothing_again(
    toys: Path, whole: dict[str, dict[str, str]], tmp_path: Path, monkeypatch: Any
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(training, "write_json", full)
    with pytest.raises(OSError, match="No space left"):
        trained(toys, RUNS["base"], tmp_path / "run")
    monkeypatch.setattr(training, "write_json", files.write_json)
    monkeypatch.setattr(Translation, "loss", None)
    assert hashes(trained(toys, RUNS["base"], tmp_path / "run")) == whole["base"]


@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_was_killed_leaves_what_the_next_one_goes_on_from(
    toys: Path, whole: dict[str, dict[str, str]], tmp_path: Path, signal_number: int
) -> None:
    def kill(step: int, values: Mapping[str, float]) -> None:
        if step == 9:
            os.kill(os.getpid(), signal_number)

    child = os.fork()
    if not child:
        try:
            trained(toys, RUNS["base"], tmp_path / "run", kill)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert left(tmp_path / "run") in ([3, 6], [6, 9])
    assert hashes(trained(toys, RUNS["base"], tmp_path / "run")) == whole["base"]


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["base", "masked", "gradual"])
def test_kills_at_random_moments_lose_no_bit(toys: Path, tmp_path: Path, name: str) -> None:
    run = RUNS[name].model_copy(deep=True, update={"values": longer(RUNS[name])})
    start = time.monotonic()
    assert in_a_child(toys, run, tmp_path / "whole", None) == 0
    seconds = time.monotonic() - start
    expected, moments = hashes(tmp_path / "whole"), random.Random(name)
    kills = 0
    while kills < 10:
        folder = tmp_path / str(kills)
        while (code := in_a_child(toys, run, folder, moments.uniform(0, seconds))) == signal.SIGKILL:
            kills += 1
        assert code == 0
        assert hashes(folder) == expected


def longer(run: Run) -> RunValues:
    return run.values.model_copy(update={"optimisation": run.values.optimisation.model_copy(update={"updates": 300})})


def in_a_child(toys: Path, run: Run, folder: Path, seconds: float | None) -> int:
    """Train in a process that is killed after some seconds; its exit code, or SIGKILL where it was."""
    child = os.fork()
    if not child:
        code = 1
        try:
            trained(toys, run, folder)
            code = 0
        finally:
            os._exit(code)
    if seconds is not None:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    status = os.waitpid(child, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


@pytest.mark.parametrize("damage", ["cut", "changed"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_used(
    toys: Path, whole: dict[str, dict[str, str]], tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    with pytest.raises(StoppedError):
        trained(toys, RUNS["base"], tmp_path / "run", at(9))
    newest = max((tmp_path / "run.checkpoints").glob("*.safetensors"))
    content = newest.read_bytes()
    newest.write_bytes(content[: len(content) // 2] if damage == "cut" else content[:-1] + bytes([content[-1] ^ 1]))
    with caplog.at_level("INFO"):
        found = hashes(trained(toys, RUNS["base"], tmp_path / "run"))
    assert f"checkpoint: {newest} is damaged (its hash is not the one in its name); an older state is taken." in caplog.messages
    assert "Training was stopped before; it goes on from update 3 of 12." in caplog.messages
    assert found == whole["base"]


def test_without_any_checkpoint_training_begins_anew(toys: Path, whole: dict[str, dict[str, str]], tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        trained(toys, RUNS["base"], tmp_path / "run", at(9))
    shutil.rmtree(tmp_path / "run.checkpoints")
    assert hashes(trained(toys, RUNS["base"], tmp_path / "run")) == whole["base"]


@pytest.mark.parametrize("changed", ["a value", "the text", "the code"])
def test_a_checkpoint_of_other_values_text_or_code_is_not_picked_up(
    toys: Path, tmp_path: Path, monkeypatch: Any, caplog: pytest.LogCaptureFixture, changed: str
) -> None:
    own = tmp_path / "toys"
    shutil.copytree(toys, own)
    with pytest.raises(StoppedError):
        trained(own, RUNS["base"], tmp_path / "run", at(9))
    run = RUNS["base"]
    if changed == "a value":
        run = toy.run(optimisation=STEPS | {"learning_rate": 0.02})
    elif changed == "the text":
        toy.write_text(own / "text", train=150)
    else:
        monkeypatch.setattr(checkpoints, "VERSIONS", ("torch",))
    with caplog.at_level("INFO"):
        found = hashes(trained(own, run, tmp_path / "run"))
    assert not any("goes on" in message for message in caplog.messages)
    monkeypatch.undo()
    assert found == hashes(trained(own, run, tmp_path / "fresh"))


def test_a_second_process_on_the_same_run_refuses(toys: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run.checkpoints"
    folder.mkdir()
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(CheckpointError) as error:
            trained(toys, RUNS["base"], tmp_path / "run")
    assert str(error.value) == (
        f"{folder}: another process is training this run; wait until it has ended, or stop it, and start again."
    )


def test_a_checkpoint_that_cannot_be_written_is_said_once_and_stops_nothing(
    tmp_path: Path, monkeypatch: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def full(_: object, path: Path, __: object) -> None:
        path.write_bytes(b"half a file")
        raise OSError(28, "No space left on device")

    with opened(tmp_path / "run", "0" * 16) as kept:
        kept.write(Checkpoint(3, {"x": torch.zeros(1)}, {}))
        monkeypatch.setattr(checkpoints.safetensors.torch, "save_file", full)
        for update in (6, 9):
            kept.write(Checkpoint(update, {"x": torch.zeros(1)}, {}))
        assert caplog.messages == [
            f"checkpoint: {tmp_path / 'run'} cannot be written ([Errno 28] No space left on device); training goes on, "
            f"but after a crash it would start from an older state."
        ]
        assert not (tmp_path / "run" / ".part").exists()
        newest = kept.newest()
        assert newest is not None and newest.update == 3


def test_equal_trainings_leave_equal_checkpoints(toys: Path, tmp_path: Path) -> None:
    names = []
    for place in ("one", "two"):
        with pytest.raises(StoppedError):
            trained(toys, RUNS["gradual"], tmp_path / place, at(9))
        names.append(sorted(path.name.rpartition("-")[0] for path in (tmp_path / f"{place}.checkpoints").glob("*.safetensors")))
    assert names[0] == names[1]
