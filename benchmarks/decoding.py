"""Decoding: translab's search against CTranslate2 with the same weights, exported, in turns.

The models have random weights and never end by themselves, so both sides do the same steps for the same sentences: what is
compared is the work for a translation of a given length, not what a trained model makes of it (`translab export --check` does
that). Time is processor time on one thread each, from ids or types of the source to types of the target, and the ratio is that
of two rounds beside each other. On a machine that is busy with other things the speeds fall, and the ratios stay.

Prints, for each size, sentences a processor second of both (median of the rounds) and the ratio with its spread. Writes
`benchmarks/results/decoding.json`.
"""

from __future__ import annotations

import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmarks.sizes import transformer
from translab.config import Decoding, Model
from translab.decoding import translate
from translab.exporting.folder import search
from translab.exporting.specification import Quantization, Reading, library, specification
from translab.files import write_json
from translab.models.kernels import use_fast_matrix_products
from translab.models.transformer import Transformer
from translab.text.bpe import END, SPECIALS

ROUNDS, SENTENCES, LENGTH = 5, 200, 12
"""Types of a sentence, [END] included, on both sides."""
SIZES = {
    "2+2 layers, width 64, 1,600 types": (64, 256, 2, 1600),
    "3+3 layers, width 256, 8,000 types": (256, 1024, 3, 8000),
}
QUANTIZATIONS: tuple[Quantization, ...] = ("float32", "int8")
BEAMS = (1, 4)
RESULTS = Path(__file__).parent / "results" / "decoding.json"


def _model(width: int, feedforward: int, layers: int, types: int) -> tuple[Transformer, Model]:
    """A model with random weights that never ends by itself, and its values."""
    values = transformer(width, feedforward, layers, dropout=0.1, maximum_length=LENGTH)
    model = Transformer(values, types, types, torch.Generator().manual_seed(1)).eval()
    with torch.no_grad():
        model.output.bias[END] = -100.0
    return model, values


def _exported(model: Transformer, values: Model, types: list[str], quantization: Quantization, folder: str) -> Any:
    """The model as CTranslate2 has it."""
    specification(model, values, Reading(types, types, source_start=False, source_end=True), quantization).save(folder)
    return library().Translator(folder, device="cpu", inter_threads=1, intra_threads=1)


def _seconds(run: Callable[[], Any]) -> float:
    begin = time.process_time()
    run()
    return time.process_time() - begin


def main() -> None:
    """Measure, print, write."""
    use_fast_matrix_products()
    torch.set_num_threads(1)
    torch.manual_seed(1)
    results = []
    for size, (width, feedforward, layers, count) in SIZES.items():
        model, values = _model(width, feedforward, layers, count)
        types = [*SPECIALS, *(f"type {number}" for number in range(len(SPECIALS), count))]
        sources = torch.randint(len(SPECIALS), count, (SENTENCES, LENGTH - 1)).tolist()
        ids = [[*source, END] for source in sources]
        words = [[types[token] for token in source] for source in sources]
        for quantization in QUANTIZATIONS:
            with tempfile.TemporaryDirectory() as folder:
                exported = _exported(model, values, types, quantization, folder)
                for beam in BEAMS:
                    results.append(_compared(model, exported, ids, words, beam) | {"size": size, "weights": quantization})
                    _print(results[-1])
    about = {
        "torch": torch.__version__,
        "ctranslate2": library().__version__,
        "processor": _processor(),
        "threads": 1,
        "time": "processor seconds",
        "rounds": ROUNDS,
        "sentences": SENTENCES,
        "types_of_a_sentence": LENGTH,
    }
    write_json(RESULTS, {"about": about, "results": results})
    print(f"Results are in {RESULTS.relative_to(Path.cwd())}")


def _compared(model: Transformer, exported: Any, ids: list[list[int]], words: list[list[str]], beam: int) -> dict[str, Any]:
    decoding = Decoding(beam=beam, length_penalty=1.0, batch_tokens=2000)
    arguments = search(decoding, LENGTH) | {
        "max_decoding_length": LENGTH,
        "max_batch_size": decoding.batch_tokens,
        "batch_type": "tokens",
    }

    def ours() -> None:
        translate(model, ids, **decoding.model_dump())

    def theirs() -> None:
        exported.translate_batch(words, **arguments)

    ours()
    theirs()
    rounds = [(_seconds(ours), _seconds(theirs)) for _ in range(ROUNDS)]
    ratios = [own / other for own, other in rounds]
    own, other = (SENTENCES / statistics.median(side) for side in zip(*rounds, strict=True))
    return {
        "beam": beam,
        "translab_sentences_per_second": round(own),
        "ctranslate2_sentences_per_second": round(other),
        "ratio": round(statistics.median(ratios), 2),
        "ratio_range": [round(min(ratios), 2), round(max(ratios), 2)],
    }


def _print(found: dict[str, Any]) -> None:
    low, high = found["ratio_range"]
    print(
        f"{found['size']}, {found['weights']}, beam {found['beam']}: CTranslate2 "
        f"{found['ctranslate2_sentences_per_second']:,} sentences/s, translab {found['translab_sentences_per_second']:,}: "
        f"{found['ratio']:.2f} times ({low:.2f} to {high:.2f})"
    )


def _processor() -> str:
    """What Linux calls the processor; elsewhere its architecture."""
    description = Path("/proc/cpuinfo")
    lines = description.read_text().splitlines() if description.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main()
