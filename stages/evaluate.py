"""Evaluate one model of task B, all its seeds, on the test sets."""

from translab import layout
from translab.config import Decoding, Machine, check
from translab.evaluation.evaluate import evaluate
from translab.params import declared
from translab.stage import run


def main(name: str) -> None:
    values = declared("evaluate-ablate")  # the stages of fine-tuned models declare the same values
    evaluate(
        name,
        values["sweep"]["seeds"],
        runs=layout.RUNS / name,
        text=layout.text("b"),
        folder=layout.EVALUATIONS / name,
        decoding=check(Decoding, values["decoding"], "params.yaml: decoding"),
        machine=check(Machine, values["machine"], "params.yaml: machine"),
    )


if __name__ == "__main__":
    run(main)
