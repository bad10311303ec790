"""Calibration of the phrasebook: how much of the validation set the base gets right, beside floors that learn nothing.

Task B should neither be solved nor hopeless at the default sizes: 60 to 90 % of the base's translations are accepted on
validation. Only base and floors are looked at, never a variant, and never a test set, so that no verdict is built in.

    dvc repro ablate@base-1 ablate@base-2 ablate@base-3      # or a whole `make repro`
    python -m benchmarks.calibration

Prints the table and writes `benchmarks/results/calibration.json`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from translab import layout
from translab.config import Decoding, check
from translab.corpora.phrasebook import load
from translab.corpora.phrasebook.diagnosis import diagnose
from translab.decoding import translate
from translab.files import read_json, read_table, write_json
from translab.params import read_yaml
from translab.pretraining.translation import Translation
from translab.runs import load_objective
from translab.text.bpe import decode

RESULTS = Path(__file__).parent / "results" / "calibration.json"
BASE = "base"


def main() -> None:
    """Measure, print and write."""
    values = read_yaml("params.yaml")
    decoding = check(Decoding, values["decoding"], "params.yaml: decoding")
    text = layout.text("b")
    phrasebook = load(read_json(text / "languages.json")["phrasebook"])
    train, valid = read_table(text / "train.parquet"), read_table(text / "valid.parquet")
    sources, accepted = valid["source"].to_pylist(), valid["translations"].to_pylist()
    outputs = _floors(train["source"].to_pylist(), train["target"].to_pylist(), sources)
    for seed in values["sweep"]["seeds"]:
        outputs[f"{BASE}, seed {seed}"] = _translations(layout.run_folder(BASE, seed), sources, decoding)
    rows = {name: _row(sources, translations, accepted, phrasebook) for name, translations in outputs.items()}
    print(f"{'':24s}accepted %   what is wrong with the others (% of all)")
    for name, row in rows.items():
        wrong = ", ".join(f"{kind} {share:.1f}" for kind, share in row["errors"].items())
        print(f"{name:24s}{row['accepted']:10.1f}   {wrong}")
    settings = {section: values[section] for section in ("text", "model", "batch", "optimisation", "decoding")}
    sizes = {"training": train.num_rows, "validation": valid.num_rows}
    write_json(RESULTS, {"grammar": phrasebook.digest, "pairs": sizes, "values": settings, "results": rows})
    print(f"Results are in {RESULTS.relative_to(Path.cwd())}")


def _floors(train_sources: Sequence[str], train_targets: Sequence[str], sources: Sequence[str]) -> dict[str, list[str]]:
    """What can be said without a model: the source itself, the most frequent target, the target of the nearest source."""
    bags = [Counter(source.lower().split()) for source in train_sources]
    frequent = Counter(train_targets).most_common(1)[0][0]

    def nearest(source: str) -> str:
        bag = Counter(source.lower().split())
        overlaps = [2 * (bag & other).total() / (bag.total() + other.total()) for other in bags]
        return train_targets[overlaps.index(max(overlaps))]

    return {
        "copy": list(sources),
        "most frequent target": [frequent] * len(sources),
        "nearest training source": [nearest(source) for source in sources],
    }


def _translations(folder: Path, sources: Sequence[str], decoding: Decoding) -> list[str]:
    objective = load_objective(folder, "cpu")
    assert isinstance(objective, Translation)
    hypotheses = translate(
        objective.network,
        objective.sources(sources),
        beam=decoding.beam,
        length_penalty=decoding.length_penalty,
        batch_tokens=decoding.batch_tokens,
    )
    return decode(objective.vocabularies.target, [hypothesis.tokens for hypothesis in hypotheses])


def _row(
    sources: Sequence[str], outputs: Sequence[str], accepted: Sequence[Sequence[str]], phrasebook: Any
) -> Mapping[str, Any]:
    wrong = [
        diagnose(phrasebook, source, output)
        for source, output, right in zip(sources, outputs, accepted, strict=True)
        if output not in right
    ]
    share = 100 / len(sources)
    errors = {kind: round(count * share, 2) for kind, count in Counter(wrong).most_common()}
    return {"accepted": round(100 - len(wrong) * share, 2), "errors": errors}


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
