"""Train task B with shallow layers of a pretrained model, one seed; the donor has the same seed."""

from translab import layout
from translab.files import read_json
from translab.params import declared, finetuning
from translab.stage import run
from translab.tracking import live_run
from translab.training.train import train


def main(source: str, ladder: str, layers: str, surgery: str, seed: str) -> None:
    languages = read_json(layout.text("b") / "languages.json")
    donor = layout.run_folder(source, int(seed))
    features = read_json(donor / "config.json")["values"]["method"].get("features")
    # The stages of all groups of the sweep declare the same values.
    values = declared("finetune-words", source=source, surgery=surgery, seed=seed)
    this = finetuning(values, source, ladder, int(layers), surgery, int(seed), languages, features)
    with live_run(this.model_dump(mode="json")) as live:
        train(
            this,
            text=layout.text("b"),
            added=layout.text("a"),
            tokenizers=layout.tokenizers("b"),
            donor=donor,
            folder=layout.run_folder(this.name, this.seed),
            cost_file=layout.cost_file(this.name, this.seed),
            checkpoints=layout.checkpoints(this.name, this.seed),
            log=live.log,
        )


if __name__ == "__main__":
    run(main)
