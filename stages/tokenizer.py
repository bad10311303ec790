"""Train the vocabularies on the training texts of A and B."""

from pathlib import Path

from translab.config import Text, check
from translab.params import declared
from translab.stage import run
from translab.text.vocabularies import train_vocabularies


def main() -> None:
    text = check(Text, declared("tokenizer")["text"], "params.yaml: text")
    train_vocabularies(Path("data/text"), Path("data/tokenizer"), text)


if __name__ == "__main__":
    run(main)
