"""Evaluate one model, all its seeds, on the test sets of its task."""

from translab import layout
from translab.config import Decoding, Machine, check
from translab.evaluation.evaluate import evaluate
from translab.params import declared
from translab.stage import run


def main(stage: str, task: str, name: str) -> None:
    values = declared(stage)
    evaluate(
        name,
        values["sweep"]["seeds"],
        runs=layout.RUNS / name,
        text=layout.text(task),
        folder=layout.EVALUATIONS / name,
        decoding=check(Decoding, values["decoding"], "params.yaml: decoding"),
        machine=check(Machine, values["machine"], "params.yaml: machine"),
    )


if __name__ == "__main__":
    run(main)
