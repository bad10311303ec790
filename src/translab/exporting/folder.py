"""An exported folder: all that it takes to translate with CTranslate2 and the `tokenizers` library, without this project.

    model.bin, config.json, *_vocabulary.json    the model, as CTranslate2 reads it
    source.json, target.json                     the run's tokenizers
    decoding.json                                how the project searches, as arguments of `Translator.translate_batch`
    translate.py                                 alone.py: translates text with these files
    README.md                                    what the model is, and how to use it

With these arguments CTranslate2's search is ours (decoding.py), but for two things. It takes the six forbidden types out before
it normalises, so its log probability of a type is the greater by −log(1 − what they have together); of two translations whose
scores are that close it may prefer the other one. And at a sentence's maximum length it cuts a translation off where ours ends
it; alone.py mends that.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer

from translab.config import Decoding, Run
from translab.decoding import FORBIDDEN
from translab.exporting.specification import ExportError, Quantization, Reading, refuse, specification
from translab.files import whole, write_json, write_text
from translab.inference import Inference, load_inference
from translab.models.transformer import Transformer
from translab.text.bpe import SPECIALS

HARDLY = 1e-9
"""A length penalty without effect on any single-precision score. With 0 CTranslate2 would stop by another rule than ours."""

EXAMPLE = """\
import json
import ctranslate2
from tokenizers import Tokenizer

source, target = Tokenizer.from_file("source.json"), Tokenizer.from_file("target.json")
source.encode_special_tokens = True  # "[END]" in a sentence is text
decoding = json.load(open("decoding.json", encoding="utf-8"))
types = source.encode(input()).tokens
longest = min(2 * (len(types) + decoding["added_to_source"]) + 10, decoding["maximum_length"])
[found] = ctranslate2.Translator(".").translate_batch([types], max_decoding_length=longest, **decoding["search"])
print(target.decode([target.token_to_id(each) for each in found.hypotheses[0][:-1]]))  # the last one is [END]
"""

README = """\
# {name}, seed {seed}: {source_language} to {target_language}

Trained on the corpus `{corpus}`, exported to CTranslate2 with {quantization} weights. In this folder, with the packages
`ctranslate2` and `tokenizers`, this translates a line of standard input:

```python
{example}```

`python translate.py < sentences.txt` translates many lines in batches, and asks again where a translation does not end.

The model knows text in Unicode's composed form (NFC) with single spaces between words. `decoding.json` holds the project's way
to search: `search` are arguments of `translate_batch`, and a translation has at most twice the types of its source and ten
more, `added_to_source` special types and [END] included, and never more than `maximum_length`.
"""


def export(folder: Path, output: Path, quantization: Quantization, decoding: Decoding) -> None:
    """Write a trained model as an exported folder, whole or not at all.

    Args:
        folder: a run folder.
        output: a folder that does not exist yet.
        quantization: numbers of the weights.
        decoding: how to search.

    Raises:
        ExportError: if `output` exists, CTranslate2 is not installed, or it cannot compute what the model does.
        InferenceError: if `folder` holds no model that translates.
    """
    if output.exists():
        raise ExportError(f"{output} exists already; name a folder that does not exist yet.")
    inference = load_inference(folder, "cpu")
    run, network = inference.run, inference.objective.network
    refuse(network, run.values.model, str(folder))
    assert isinstance(network, Transformer)
    batch, vocabularies = run.values.batch, inference.objective.vocabularies
    reading = Reading(_types(vocabularies.source), _types(vocabularies.target), batch.source_start, batch.source_end)
    spec = specification(network, run.values.model, reading, quantization)
    with whole(output) as temporary:
        temporary.mkdir()
        spec.save(str(temporary))
        for side in ("source.json", "target.json"):
            shutil.copyfile(folder / side, temporary / side)
        shutil.copyfile(Path(__file__).with_name("alone.py"), temporary / "translate.py")
        write_json(temporary / "decoding.json", _decoding(inference, decoding))
        write_text(temporary / "README.md", _readme(run, quantization))


def _types(tokenizer: Tokenizer) -> list[str]:
    """All types in the order of their ids."""
    return [str(tokenizer.id_to_token(number)) for number in range(tokenizer.get_vocab_size())]


def search(values: Decoding, maximum_length: int) -> dict[str, Any]:
    """Arguments of `translate_batch` that make its search ours; that of a sentence's maximum length is left open."""
    return {
        "beam_size": values.beam,
        "length_penalty": values.length_penalty or HARDLY,
        "suppress_sequences": [[SPECIALS[number]] for number in FORBIDDEN],
        "min_decoding_length": 0,
        "max_input_length": maximum_length,
        # Its length counts in the score.
        "return_end_token": True,
    }


def _decoding(inference: Inference, values: Decoding) -> dict[str, Any]:
    longest = inference.run.values.model.maximum_length
    return {
        "search": search(values, longest),
        "added_to_source": len(inference.objective.start) + len(inference.objective.end),
        "maximum_length": longest,
        "batch_tokens": values.batch_tokens,
    }


def _readme(run: Run, quantization: Quantization) -> str:
    return README.format(
        name=run.name,
        seed=run.seed,
        corpus=run.corpus,
        source_language=run.source_language,
        target_language=run.target_language,
        quantization=quantization,
        example=EXAMPLE,
    )
