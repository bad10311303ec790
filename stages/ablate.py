"""Train one variant on task B with one seed."""

from translab import layout
from translab.files import read_json
from translab.params import ablation, declared
from translab.stage import run
from translab.tracking import live_run
from translab.training.train import train


def main(variant: str, seed: str) -> None:
    languages = read_json(layout.text("b") / "languages.json")
    this = ablation(declared("ablate", variant=variant, seed=seed), variant, int(seed), languages)
    with live_run(this.model_dump(mode="json")) as live:
        train(
            this,
            text=layout.text("b"),
            added=layout.text("a"),
            tokenizers=layout.tokenizers("b"),
            donor=None,
            folder=layout.run_folder(this.name, this.seed),
            cost_file=layout.cost_file(this.name, this.seed),
            checkpoints=layout.checkpoints(this.name, this.seed),
            log=live.log,
        )


if __name__ == "__main__":
    run(main)
