"""Train task B with shallow layers of a pretrained model, one seed; the donor has the same seed."""

from translab import layout
from translab.files import read_json
from translab.params import declared, finetuning
from translab.stage import run
from translab.tracking import live_run
from translab.training.train import train


def main(source: str, layers: str, surgery: str, seed: str) -> None:
    languages = read_json(layout.text("b") / "languages.json")
    values = declared("finetune", source=source, layers=layers, surgery=surgery, seed=seed)
    this = finetuning(values, source, int(layers), surgery, int(seed), languages)
    with live_run(this.model_dump(mode="json")) as live:
        train(
            this,
            text=layout.text("b"),
            tokenizers=layout.tokenizers("b"),
            donor=layout.run_folder(source, this.seed),
            folder=layout.run_folder(this.name, this.seed),
            cost=layout.cost_file(this.name, this.seed),
            log=live.log,
        )


if __name__ == "__main__":
    run(main)
