"""Pretrain one method on task A with one seed."""

from translab import layout
from translab.files import read_json
from translab.params import declared, pretraining
from translab.stage import run
from translab.tracking import live_run
from translab.training.train import train


def main(method: str, seed: str) -> None:
    languages = read_json(layout.text("a") / "languages.json")
    this = pretraining(declared("pretrain", method=method, seed=seed), method, int(seed), languages)
    with live_run(this.model_dump(mode="json")) as live:
        train(
            this,
            text=layout.text("a"),
            added=None,
            tokenizers=layout.tokenizers("a"),
            donor=None,
            folder=layout.run_folder(this.name, this.seed),
            cost_file=layout.cost_file(this.name, this.seed),
            checkpoints=layout.checkpoints(this.name, this.seed),
            log=live.log,
        )


if __name__ == "__main__":
    run(main)
