"""Evaluate one pretraining method, all its seeds, on task A: its test set, and what the model knows by itself."""

from translab import layout
from translab.config import Decoding, Machine, check
from translab.intrinsic.measure import measure
from translab.params import declared
from translab.stage import run


def main(name: str) -> None:
    values = declared("evaluate-pretrain")
    measure(
        name,
        values["sweep"]["seeds"],
        runs=layout.RUNS / name,
        text=layout.text("a"),
        folder=layout.EVALUATIONS / name,
        decoding=check(Decoding, values["decoding"], "params.yaml: decoding"),
        machine=check(Machine, values["machine"], "params.yaml: machine"),
    )


if __name__ == "__main__":
    run(main)
