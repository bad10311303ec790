"""Bad input is answered in one sentence before anything is written, and what was there stays as it was.

Each case makes something wrong in a small project, does what the user's command does, and compares the whole answer. What is
odd but right follows, with what is made of it. Bad input of other kinds: claims, and claims that name a missing variant, in
test_verdicts.py; the grid, and transfers that cannot be, in test_recipes.py; broken downloads in test_sources.py; `translab
translate` in test_translate.py; training that diverges in test_training.py; checkpoints in test_resuming.py; a tracking server
that is away in test_tracking.py; `make repro` that is stopped in test_repro.py; a full disk in test_full_disk.py.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import importlib.util
import io
import json
import lzma
import math
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch

import toy
from conftest import ROOT
from small_project import (
    ABSENT,
    EARLIER,
    JSONL,
    MEMBER,
    OTHER_FILE,
    PACKERS,
    PAGE,
    PARQUET,
    ROWS,
    STAGES,
    TEXT,
    TSV,
    VALUES,
    Project,
    Server,
    parquet,
    sentences,
    zipped,
)
from translab.config import Decoding, Machine
from translab.evaluation.evaluate import evaluate
from translab.evaluation.scoring import corpus_scores
from translab.files import read_json, read_table, sha256
from translab.params import read_values
from translab.pretraining.objective import Measure
from translab.stage import run as run_stage
from translab.training.train import train
from translab_dvc import recipes

# ---- what a user calls


@cache
def stage_main(name: str) -> Callable[..., None]:
    spec = importlib.util.spec_from_file_location(f"stage_{name}", ROOT / "stages" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    main: Callable[..., None] = module.main
    return main


def stage(name: str, *arguments: str) -> None:
    """`python stages/<name>.py <arguments>`, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [f"stages/{name}.py", *arguments])
        run_stage(stage_main(name))


def download() -> None:
    stage("download", "toy")


def prepare() -> None:
    stage("prepare", "other", "toy")


def tokenizer() -> None:
    stage("tokenizer")


def check() -> None:
    """What `make repro` does first."""
    with contextlib.redirect_stderr(io.StringIO()) as stderr:
        code = recipes.main(["check"])
    if code:
        raise SystemExit(stderr.getvalue().removesuffix("\n"))


def training(donor: str | None = None, **changes: Any) -> Callable[[], None]:
    def call() -> None:
        train(
            toy.run(**{"optimisation": {"updates": 0}, **changes}),
            text=Path("text"),
            added=None,
            tokenizers=(Path("tokenizer/source.json"), Path("tokenizer/target.json")),
            donor=donor and Path(donor),
            folder=Path("run"),
            cost_file=Path("cost.json"),
            checkpoints=Path("checkpoints"),
            log=lambda step, values: None,
        )

    return call


def fine_tuning(donor: str, layers: int) -> Callable[[], None]:
    about = {"source": "base", "ladder": "encoder", "shallow_layers": layers, "surgery": "frozen", "dropout": True}
    return training(donor, stage="finetune", transfer={**about, "train": "never", "features": None})


def evaluation() -> None:
    evaluate(
        "base",
        [1],
        runs=Path("runs/base"),
        text=Path("text"),
        folder=Path("evaluations/base"),
        decoding=Decoding(beam=1, length_penalty=0.0, batch_tokens=50),
        machine=Machine(accelerator="cpu", threads=1, precision="32-true"),
    )


# ---- the cases


Make = Callable[[Project], object]
Call = Callable[[], None]


PARAMS = {
    "an unknown value": (
        lambda project: project.params(model_widht=64),
        "params.yaml: model.widht is not a known value. Did you mean `width`?",
    ),
    "a missing value": (
        lambda project: project.params(model_heads=ABSENT),
        "params.yaml: model.heads is missing; give it a value.",
    ),
    "an unknown section": (
        lambda project: project.params(modle={}),
        "params.yaml: `modle` is not a known section. Did you mean `model`?",
    ),
    "an empty section": (
        lambda project: project.params(model=None),
        "params.yaml: model is empty; give its values by name.",
    ),
    "text for a number": (
        lambda project: project.params(model_heads="4"),
        "params.yaml: model.heads: input should be a valid integer, found '4'.",
    ),
    "true for a number": (
        lambda project: project.params(model_heads=True),
        "params.yaml: model.heads: input should be a valid integer, found True.",
    ),
    "a number below its bound": (
        lambda project: project.params(model_heads=0),
        "params.yaml: model.heads: input should be greater than or equal to 1, found 0.",
    ),
    "a number above its bound": (
        lambda project: project.params(model_dropout=1.0),
        "params.yaml: model.dropout: input should be less than 1, found 1.0.",
    ),
    "a number without end": (
        lambda project: project.params(optimisation_learning_rate=math.inf),
        "params.yaml: optimisation.learning_rate: input should be a finite number, found inf.",
    ),
    "a word that is none of those allowed": (
        lambda project: project.params(model_positions="fixed"),
        "params.yaml: model.positions: input should be 'sinusoidal', 'learned-from-sinusoidal', 'learned' or 'none', "
        "found 'fixed'.",
    ),
    "heads that do not divide the width": (
        lambda project: project.params(model_heads=5),
        "params.yaml: model: heads 5 does not divide width 64; allowed are 1, 2, 4, 8, 16, 32, 64.",
    ),
    "an odd width": (
        lambda project: project.params(model_width=65, model_heads=5),
        "params.yaml: model: width 65 is odd; sinusoidal positions need pairs of sine and cosine.",
    ),
    "lengths that no sentence has": (
        lambda project: project.params(cleaning_minimum_length=301),
        "params.yaml: cleaning: minimum_length 301 is more than maximum_length 300, so that no sentence is left; lower "
        "one or raise the other.",
    ),
    "a ratio that no pair has": (
        lambda project: project.params(cleaning_maximum_ratio=0.5),
        "params.yaml: cleaning.maximum_ratio: input should be greater than or equal to 1, found 0.5.",
    ),
    "a variant that is empty": (
        lambda project: project.params(variants={"base": {}, "other": {"model": {}}}),
        "params.yaml: variants.other changes nothing, and would be a second `base`; give it a value, or leave it out.",
    ),
    "a variant that is the base": (
        lambda project: project.params(variants={"base": {}, "heads-4": {"model": {"heads": 4}}}),
        "params.yaml: variants.heads-4 sets `model.heads` to 4, which it is already; a variant must change something.",
    ),
    "a variant that writes the base's value otherwise": (
        lambda project: project.params(variants={"base": {}, "dropout-0": {"model": {"dropout": 0}}}),
        "params.yaml: variants.dropout-0 sets `model.dropout` to 0, which it is already; a variant must change something.",
    ),
    "a variant of a value that does not exist": (
        lambda project: project.params(variants={"base": {}, "heads-1": {"model": {"head": 1}}}),
        "params.yaml: variants.heads-1 changes `model.head`, which is not a value. Did you mean `model.heads`?",
    ),
    "a variant of two values": (
        lambda project: project.params(variants={"base": {}, "small": {"model": {"heads": 1, "width": 32}}}),
        "params.yaml: variants.small changes `model.heads` and `model.width`; a variant moves one value, so that its "
        "effect has one cause: split it, or name it `with-small` if they belong together.",
    ),
    "a corpus without an entry": (
        lambda project: project.params(data_b="phrasebook-travl"),
        "params.yaml: data.b is `phrasebook-travl`, which is no entry of corpora.yaml. Did you mean `phrasebook-travel`?",
    ),
    "a corpus whose entry is wrong": (
        lambda project: (
            project.params(data_a="toy", data_b="toy"),
            project.file(TEXT, sorce=1),
        ),
        "corpora.yaml: toy.parts.0.sorce is not a known value. Did you mean `source`?",
    ),
    "a claim that is wrong, before anything is trained": (
        lambda project: (project.params(), project.write("claims.yaml", "- name: x\n")),
        "claims.yaml: x.kind is missing; give it a value.",
    ),
    "values that are no YAML": (
        lambda project: project.write("params.yaml", "model: {heads: 4\nbatch: {}\n"),
        "params.yaml line 2 is not YAML: while parsing a flow mapping, expected ',' or '}', but got ':'; correct it there.",
    ),
    "a tab in YAML": (
        lambda project: project.write("params.yaml", "model:\n\theads: 4\n"),
        "params.yaml line 2 is not YAML: while scanning for the next token, found character '\\t' that cannot start any "
        "token; correct it there.",
    ),
    "a value that stands twice": (
        lambda project: project.write("params.yaml", "model:\n  heads: 4\n  width: 64\n  heads: 8\n"),
        "params.yaml line 4: `heads` stands twice in one place; keep one of them.",
    ),
    "an object in YAML": (
        lambda project: project.write("params.yaml", "model: !!python/object/apply:os.system [ls]\n"),
        "params.yaml line 1 is not YAML: could not determine a constructor for the tag "
        "'tag:yaml.org,2002:python/object/apply:os.system'; correct it there.",
    ),
    "an empty params.yaml": (
        lambda project: project.write("params.yaml", "# nothing yet\n"),
        "params.yaml is empty; give its values by name, as `git show HEAD:./params.yaml` does.",
    ),
    "a list for values": (
        lambda project: project.write("params.yaml", "- model\n"),
        "params.yaml holds a list; give its values by name, as `git show HEAD:./params.yaml` does.",
    ),
    "values that are not UTF-8": (
        lambda project: project.write("params.yaml", "model: {}  # the\n# café\n".encode("latin-1")),
        "params.yaml line 2: byte 0xe9 is not UTF-8; save the file as UTF-8.",
    ),
    "a control character in YAML": (
        lambda project: project.write("params.yaml", "model:\n  heads: 4\x00\n"),
        "params.yaml line 2 holds the character U+0000; take it out.",
    ),
    "no params.yaml": (
        lambda project: (project.folder / "params.yaml").unlink(),
        "params.yaml does not exist; run the command from the project's folder.",
    ),
}


def kept_out(name: str, content: bytes | str) -> Callable[[Project], None]:
    return lambda project: project.archive(name, content)


BOMBS = ("a.zip", "a.tar.gz", "a.tsv.gz")


def unpacked(name: str) -> tuple[Make, str]:
    """A file that unpacks to more than text can."""
    content = b"a\tb\n" * 500_000
    packed = PACKERS[name]({"text/a.tsv": content}) if name in PACKERS else gzip.compress(content)
    return (
        kept_out(name, packed) if name in PACKERS else lambda project: project.file(packed, name),
        f"{name}{': text/a.tsv' if name in PACKERS else ''} unpacks to more than {100 * len(packed):,} bytes, 100 times its "
        "packed size; text does not compress so well, so the file is refused: unpack it yourself if you trust it.",
    )


ARCHIVES = {
    **{
        f"{name} with {outside}": (
            kept_out(name, pack({**MEMBER, outside: b"evil"})),
            f"{name} holds {outside!r}, which is a place outside the archive; the archive is refused: get it "
            "from its provider.",
        )
        for name, pack in PACKERS.items()
        for outside in ("../evil.txt", "/etc/evil", "text/../../evil", "..\\evil", "C:/evil")
    },
    **{
        f"{name} with a link": (
            kept_out(name, pack({"text/a.tsv": b"/etc/passwd"}, links=("text/a.tsv",))),
            f"{name} holds 'text/a.tsv', which is a link or a device; the archive is refused: get it from its provider.",
        )
        for name, pack in PACKERS.items()
    },
    **{f"{name} with a bomb": unpacked(name) for name in BOMBS},
    **{
        f"{name} without the member": (
            kept_out(name, pack({"_about.txt": b"", "b.tsv": b""})),
            f"{name} has no member 'text/a.tsv'; it holds _about.txt, b.tsv.",
        )
        for name, pack in PACKERS.items()
    },
    "a zip file with nothing in it": (
        kept_out("a.zip", zipped({})),
        "a.zip has no member 'text/a.tsv'; it holds nothing.",
    ),
    "a web page for a zip file": (
        kept_out("a.zip", PAGE),
        "a.zip is damaged (File is not a zip file); fetch or copy it again.",
    ),
    "a web page for a tar file": (
        kept_out("a.tar.gz", PAGE),
        "a.tar.gz is damaged (file could not be opened successfully); fetch or copy it again.",
    ),
    "half a zip file": (
        kept_out("a.zip", zipped(MEMBER)[:80]),
        "a.zip is damaged (File is not a zip file); fetch or copy it again.",
    ),
    "half a tar file": (
        kept_out("a.tar.gz", PACKERS["a.tar.gz"](MEMBER)[:80]),
        "a.tar.gz is damaged (Compressed file ended before the end-of-stream marker was reached); fetch or copy it again.",
    ),
    "half a gzip file": (
        lambda project: project.file(gzip.compress(TEXT.encode())[:40], "a.tsv.gz"),
        "a.tsv.gz is damaged (Compressed file ended before the end-of-stream marker was reached); fetch or copy it again.",
    ),
    "half an xz file": (
        lambda project: project.file(lzma.compress(TEXT.encode())[:40], "a.tsv.xz"),
        "a.tsv.xz is damaged (Compressed file ended before the end-of-stream marker was reached); fetch or copy it again.",
    ),
    "a name that is no archive's": (
        kept_out("a.rar", b"Rar!"),
        "a.rar is not an archive; allowed are .zip, .tar, .tar.gz, .tgz, .tar.xz: drop `archive`, or rename it.",
    ),
}

PATH = "correct the path in corpora.yaml (relative paths start at the project)."
ROOM = "make room there, get the right to write, or move what is in the way, and run the same command again."
FILES = {
    "a missing file": (
        lambda project: project.corpus({"kind": "files", "parts": [{**TSV, "file": "no.tsv"}]}),
        f"no.tsv cannot be read: No such file or directory; {PATH}",
    ),
    "a folder for a file": (
        lambda project: project.file("", "a.tsv/b", file="a.tsv"),
        f"a.tsv cannot be read: it is a folder; {PATH}",
    ),
    "a device for a file": (
        lambda project: project.corpus({"kind": "files", "parts": [{**TSV, "file": "/dev/zero"}]}),
        f"/dev/zero cannot be read: it is a device; {PATH}",
    ),
    "text that is not UTF-8": (
        lambda project: project.file("a\tb\ncafé\tc\n".encode("latin-1")),
        "a.tsv line 2: byte 0xe9 at position 4 is not UTF-8; convert the file, for example with `iconv -f GB18030 -t UTF-8`.",
    ),
    "UTF-16": (
        lambda project: project.file(TEXT.encode("utf-16")),
        "a.tsv is UTF-16; convert it with `iconv -f UTF-16 -t UTF-8`.",
    ),
    "UTF-16 without a mark, which may be read as UTF-8": (
        lambda project: project.file("a\tb\nc\td\n".encode("utf-16-be")),
        "a.tsv line 1: 4 of 8 bytes are NUL, so it is UTF-16 or no text; convert it, for example with "
        "`iconv -f UTF-16LE -t UTF-8`.",
    ),
    "lines that end in carriage returns alone": (
        lambda project: project.file(TEXT.replace("\n", "\r")),
        "a.tsv is one line with carriage returns in it; end its lines in line feeds: `tr '\\r' '\\n'`.",
    ),
    "a compressed file under another name": (
        lambda project: project.file(gzip.compress(TEXT.encode())),
        "a.tsv is compressed with gzip; give it a name that ends in .gz.",
    ),
    "a zip file as text": (
        lambda project: project.file(zipped(MEMBER)),
        "a.tsv is a zip file; declare it as `archive`, and its member as the file.",
    ),
    "an empty file": (
        lambda project: project.file(""),
        "corpora.yaml: toy holds no sentence pair; look at its files and columns.",
    ),
    "a file of empty lines": (
        lambda project: project.file("\n\n"),
        "corpora.yaml: toy holds no sentence pair; look at its files and columns.",
    ),
    "a line without its second field": (
        lambda project: project.file("a\tb\nalone\n"),
        "a.tsv line 2 has 1 tab-separated fields, 2 are needed: 'alone'; correct the line or the entry's columns.",
    ),
    "a column that the header does not name": (
        lambda project: project.file("en\tzh\na\tb\n", target="fr"),
        "a.tsv has no column 'fr'; its first line gives en, zh.",
    ),
    "one column for both sides": (
        lambda project: project.file(TEXT, target=1),
        "corpora.yaml: toy.parts.0: source and target are both 1; give each side its own.",
    ),
    "more sources than targets": (
        lambda project: project.sides("a\nb\nc\n", "甲\n"),
        "en.txt has 3 lines and zh.txt has 1; line-aligned files need equally many: find the line that one of them lacks.",
    ),
    "more targets than sources": (
        lambda project: project.sides("a\n", "甲\n乙\n丙\n丁\n"),
        "en.txt has 1 lines and zh.txt has 4; line-aligned files need equally many: find the line that one of them lacks.",
    ),
    "a side without any line": (
        lambda project: project.sides("a\nb\n", ""),
        "en.txt has 2 lines and zh.txt has 0; line-aligned files need equally many: find the line that one of them lacks.",
    ),
    "JSON without a field": (
        lambda project: project.file('{"en": "a", "zh": "b"}\n{"en": "a"}\n', "a.jsonl", **JSONL),
        "a.jsonl line 2 has no field 'zh'; it holds en.",
    ),
    "JSON with a list for a sentence": (
        lambda project: project.file('{"en": ["a"], "zh": "b"}\n', "a.jsonl", **JSONL),
        "a.jsonl line 1: field 'en' is not text but list.",
    ),
    "a line that is not JSON": (
        lambda project: project.file('{"en": "a", "zh": "b"}\n{"en": \n', "a.jsonl", **JSONL),
        "a.jsonl line 2 is not JSON (Expecting value: line 1 column 8 (char 7)); one object a line is needed.",
    ),
    "JSON that nests without end": (
        lambda project: project.file("[" * 100_000 + "\n", "a.jsonl", **JSONL),
        "a.jsonl line 1 is not JSON (maximum recursion depth exceeded while decoding a JSON array from a "
        "unicode string); one object a line is needed.",
    ),
    "JSON with half a character": (
        lambda project: project.file('{"en": "a\\ud800", "zh": "b"}\n', "a.jsonl", **JSONL),
        "a.jsonl line 1 has \\ud800, half of a character; correct the escape.",
    ),
    "a web page for a Parquet file": (
        lambda project: project.file(PAGE, "a.parquet", **PARQUET),
        "a.parquet is not a Parquet file (Parquet magic bytes not found in footer. Either the file is corrupted "
        "or this is not a parquet file); fetch or copy it again.",
    ),
    "Parquet with bytes for sentences": (
        lambda project: project.file(parquet({"en": [b"\xff"], "zh": ["b"]}), "a.parquet", **PARQUET),
        "a.parquet row 1: field 'en' is not text but bytes.",
    ),
    "a file with another hash": (
        lambda project: (
            project.file(TEXT),
            project.corpus({"kind": "files", "sha256": {"a.tsv": "0" * 64}, "parts": [{**TSV, "file": "a.tsv"}]}),
        ),
        f"corpora.yaml: toy: a.tsv has sha256 {hashlib.sha256(TEXT.encode()).hexdigest()}, declared is "
        f"{'0' * 64}; declare the new hash if the change is meant.",
    ),
    "a country's code for a language's": (
        lambda project: project.corpus({"kind": "files", "target_language": "cn", "parts": [{**TSV, "file": "a.tsv"}]}),
        "corpora.yaml: toy.target_language: 'cn' is no ISO 639-1 code of a language; take its two letters, such "
        "as zh for Chinese.",
    ),
    "Chinese that would be scored as German": (
        lambda project: (
            project.file(TEXT),
            project.corpus({"kind": "files", "target_language": "de", "parts": [{**TSV, "file": "a.tsv"}]}),
        ),
        "corpora.yaml: toy: target_language is de, but 3 of the first 3 target sentences are Chinese; exchange "
        "the columns, or declare zh.",
    ),
    "columns that are exchanged": (
        lambda project: project.file(TEXT, source=2, target=1),
        "corpora.yaml: toy: source_language is en, but 3 of the first 3 source sentences are Chinese; exchange "
        "the columns, or declare zh.",
    ),
    "a file where the folder of the corpora must be": (
        lambda project: (project.file(TEXT), project.in_the_way("data/raw")),
        f"data/raw/toy cannot be written: File exists; {ROOM}",
    ),
    "a file where the corpus must be": (
        lambda project: (project.file(TEXT), project.in_the_way("data/raw/toy")),
        f"data/raw/toy cannot be written: Not a directory; {ROOM}",
    ),
    "a download with another hash": (
        lambda project: project.web("file"),
        f"SERVER/file has sha256 {hashlib.sha256(OTHER_FILE.encode()).hexdigest()}, expected {'0' * 64}: the provider "
        "changed the file, or it was damaged; look at the address, and declare the new hash in corpora.yaml if the new file is "
        "the one you want.",
    ),
    "a web page for a download": (
        lambda project: project.web("page"),
        f"SERVER/page has sha256 {hashlib.sha256(PAGE.encode()).hexdigest()}, expected "
        f"{'0' * 64}: the server sent a web page instead of the file; look at the address, and declare the new hash in "
        "corpora.yaml if the new file is the one you want.",
    ),
    "a redirect to a file": (
        lambda project: project.web("local"),
        "SERVER/local leads to file:///etc/passwd; only http and https are followed.",
    ),
    "an address of another scheme": (
        lambda project: project.corpus(
            {
                "kind": "url",
                "downloads": {"a.tsv": {"url": "file:///etc/passwd", "sha256": "0" * 64}},
                "parts": [{**TSV, "file": "a.tsv"}],
            }
        ),
        "corpora.yaml: toy.downloads.a.tsv.url: string should match pattern '^https?://', found 'file:///etc/passwd'.",
    ),
}

PUBLISHED = [*sentences("dog", 20, "train"), *sentences("cat", 5, "valid"), *sentences("cow", 5, "test")]
TEXTS = {
    "a corpus of which nothing is left": (
        lambda project: project.corpora([("a", "甲")] * 18),
        "toy: no pair is left for train (dropped: length 18); change cleaning in params.yaml, or take another corpus.",
    ),
    "a side that is empty in every pair": (
        lambda project: project.corpora([(f"the dog {number}", "") for number in range(18)]),
        "toy: no pair is left for train (dropped: empty 18); change cleaning in params.yaml, or take another corpus.",
    ),
    "a corpus of which too little is left": (
        lambda project: project.corpora([*sentences("dog", 12), *[("a", "甲")] * 9]),
        "toy (dropped: length 9) has 12 pairs after cleaning, too few for 10 test and 5 validation pairs; lower "
        "splitting.test and splitting.valid in params.yaml.",
    ),
    "a corpus of one sentence over and over": (
        lambda project: project.corpora([("the same", f"第{number}句") for number in range(40)]),
        "toy (dropped: nothing): no pair is left for valid: repeated sentences join the corpus into 1 components, "
        "the largest of 40 pairs, which are dealt out whole; change splitting in params.yaml, or the corpus.",
    ),
    "a published test set of which nothing is left": (
        lambda project: project.corpora(
            [*sentences("dog", 20, "train"), *sentences("cat", 5, "valid"), *[("", "", "test")] * 5]
        ),
        "toy: no pair is left for test (dropped: empty 5); change cleaning in params.yaml, or take another corpus.",
    ),
    "a published corpus for both tasks, so that A's tests are B's": (
        lambda project: (project.raw("other", PUBLISHED), project.raw("toy", PUBLISHED)),
        "other: no pair is left for valid (dropped: held_out_of_b 10); change cleaning in params.yaml, or take another corpus.",
    ),
}
VOCABULARIES = {
    "a vocabulary larger than the text allows": (
        lambda project: project.texts(source_types=5000),
        "params.yaml: text.source_types is 5000, but the training text has only 28 types to offer; give at most 28.",
    ),
    "a vocabulary without room for the characters": (
        lambda project: project.texts(target_types=8),
        "params.yaml: text.target_types is 8, but the training text has 11 different characters and there are 7 special types; "
        "give at least 18.",
    ),
}

AGAIN = "get it again, or make it again with `make repro`."
HALF = "Error while deserializing header: incomplete metadata, file not fully covered"
MODELS = {
    "no GPU where one is asked for": (
        Project.with_toys,
        training(machine={"accelerator": "cuda"}),
        "params.yaml: machine.accelerator is cuda, but PyTorch finds no GPU here; take cpu, or a build of PyTorch for your GPU "
        "(`make setup TORCH=...`).",
    ),
    "sentences that are all longer than the positions": (
        Project.with_toys,
        training(model={"maximum_length": 1}),
        "text: 0 training and 0 validation pairs fit model.maximum_length 1; both must be at least 1: raise it, or give more "
        "text.",
    ),
    "a loss that is no number before any update": (
        Project.with_toys,
        training(),
        "training: the validation loss of a network that is not trained is inf.",
    ),
    "half a vocabulary": (
        lambda project: (project.with_toys(), project.write("tokenizer/source.json", "{")),
        training(),
        f"tokenizer/source.json is damaged (EOF while parsing an object at line 1 column 1); {AGAIN}",
    ),
    "a donor with half its weights": (
        lambda project: (project.with_toys(), project.halve("runs/base/1/model.safetensors")),
        fine_tuning("runs/base/1", 1),
        f"runs/base/1/model.safetensors is damaged ({HALF}); {AGAIN}",
    ),
    "a donor that is not there": (
        Project.with_toys,
        fine_tuning("runs/base/2", 1),
        f"runs/base/2/source.json is missing; {AGAIN}",
    ),
    "a donor of another width": (
        Project.with_toys,
        fine_tuning("runs/narrow/1", 1),
        "runs/narrow/1: tensor `encoder.embedding.tokens.weight` has shape (23, 8), the model needs (23, 16); donor and model "
        "must agree in width, feed-forward width, cross-projection and maximum length.",
    ),
    "a freeze of nothing": (
        Project.with_toys,
        fine_tuning("runs/base/1", 0),
        "there is nothing to freeze in 0 shallow layers; give a depth of at least 1, or a surgery that trains always.",
    ),
    "half the weights": (
        lambda project: (project.with_toys(), project.halve("runs/base/1/model.safetensors")),
        evaluation,
        f"runs/base/1/model.safetensors is damaged ({HALF}); {AGAIN}",
    ),
    "weights of another model": (
        lambda project: (
            project.with_toys(),
            project.write("runs/base/1/model.safetensors", (project.toys / "runs/narrow/1/model.safetensors").read_bytes()),
        ),
        evaluation,
        "runs/base/1/model.safetensors does not fit config.json and the vocabularies beside it: tensor "
        f"`decoder.embedding.tokens.weight` has shape (23, 8), and the model needs (23, 16); {AGAIN}",
    ),
    "half a configuration": (
        lambda project: (project.with_toys(), project.write("runs/base/1/config.json", "{")),
        evaluation,
        "runs/base/1/config.json is damaged (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)); "
        f"{AGAIN}",
    ),
    "no test set": (
        lambda project: (project.with_toys(), (project.folder / "text/tests/test.parquet").unlink()),
        evaluation,
        "text/tests holds no test.parquet, the primary test set; run `dvc repro prepare`.",
    ),
}

CASES: dict[str, tuple[Make, Call, str]] = {
    **{name: (make, check, f"recipes: {says}") for name, (make, says) in PARAMS.items()},
    **{name: (make, download, f"stages/download.py: {says}") for name, (make, says) in (ARCHIVES | FILES).items()},
    **{name: (make, prepare, f"stages/prepare.py: {says}") for name, (make, says) in TEXTS.items()},
    **{name: (make, tokenizer, f"stages/tokenizer.py: {says}") for name, (make, says) in VOCABULARIES.items()},
    **MODELS,
}
MEANWHILE: dict[str, tuple[str, object]] = {
    **{f"{name} with a bomb": ("translab.corpora.archives.ALWAYS_ALLOWED", 1000) for name in BOMBS},
    "no GPU where one is asked for": ("torch.cuda.is_available", lambda: False),
    "a loss that is no number before any update": (
        "translab.pretraining.translation.Translation.measure",
        lambda self, batch: Measure(math.inf, 0, 1),
    ),
}
"""What else is not as usual in a case: a part of the code."""
COMMANDS = {
    "values that are no YAML": ["-m", "translab_dvc.recipes", "check"],
    "a missing file": ["stages/download.py", "toy"],
    "a corpus of which nothing is left": ["stages/prepare.py", "other", "toy"],
    "a vocabulary larger than the text allows": ["stages/tokenizer.py"],
}
"""Cases that are shown by the command itself, too."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def toys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toys")
    toy.write_text(folder / "text", train=50)
    toy.write_tokenizers(folder / "tokenizer")
    toy.write_run(folder / "runs/base/1", toy.run())
    toy.write_run(folder / "runs/narrow/1", toy.run(model={"width": 8}))
    return folder


@pytest.fixture
def project(tmp_path: Path, toys: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    made = Project(tmp_path, toys, server)
    for name in EARLIER:
        made.write(name, "earlier")
    made.write("dvc.yaml", STAGES)
    made.write("params.yaml", json.dumps(VALUES))
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    yield made
    torch.set_num_threads(threads)


def contents(folder: Path) -> dict[str, str]:
    """Every file with its hash; a lock is no result."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock" and path.suffix != ".lock"]
    return {path.relative_to(folder).as_posix(): sha256(path) for path in files}


def said(call: Callable[[], None]) -> str:
    """What a user sees of a call that fails."""
    try:
        call()
    except SystemExit as exit_:
        return str(exit_.code)
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "translab":
            raise  # stage.py shows errors of our own as their sentence alone; any other is a traceback
        return str(error)
    raise AssertionError("nothing was refused")


def test_every_case_has_a_name_of_its_own() -> None:
    assert len(CASES) == sum(map(len, (PARAMS, ARCHIVES, FILES, TEXTS, VOCABULARIES, MODELS))) >= 60


@pytest.mark.parametrize("name", CASES)
def test_bad_input_is_answered_in_one_sentence_and_nothing_changes(
    name: str, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, call, says = CASES[name]
    make(project)
    if name in MEANWHILE:
        monkeypatch.setattr(*MEANWHILE[name])
    before = contents(project.folder)
    assert said(call) == says.replace("SERVER", project.server)
    assert contents(project.folder) == before


@pytest.mark.parametrize("name", COMMANDS)
def test_the_command_fails_with_the_sentence_and_nothing_else(name: str, project: Project) -> None:
    make, _, says = CASES[name]
    make(project)
    (project.folder / "stages").symlink_to(ROOT / "stages")
    before = contents(project.folder)
    ended = subprocess.run([sys.executable, *COMMANDS[name]], capture_output=True, text=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (1, "", says + "\n")
    assert contents(project.folder) == before


# ---- odd but right


def downloaded() -> list[tuple[str, str]]:
    download()
    table = read_table("data/raw/toy/pairs.parquet", ["source", "target"]).to_pydict()
    return list(zip(table["source"], table["target"], strict=True))


def test_a_byte_order_mark_and_windows_line_ends_are_no_text(project: Project) -> None:
    project.file(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode() + b"\r\n")
    assert downloaded() == ROWS
    project.params()
    right = read_values("params.yaml")
    project.write("params.yaml", b"\xef\xbb\xbf" + Path("params.yaml").read_bytes().replace(b", ", b",\r\n"))
    assert read_values("params.yaml") == right
    check()


def test_the_last_line_needs_no_end(project: Project) -> None:
    project.file(TEXT.removesuffix("\n"))
    assert downloaded() == ROWS
    project.sides("a\nb", "甲\n乙\n")
    assert downloaded() == [("a", "甲"), ("b", "乙")]


def test_a_nul_is_removed_and_a_huge_line_dropped_and_both_are_counted(project: Project) -> None:
    lines = [f"{source}\t{target}\n" for source, target in sentences("dog", 30)]
    project.file("".join(["Good\x00 morning.\t早上好。\n", "x" * 10_000_000, "\t好\n", *lines]))
    assert [len(source) for source, _ in downloaded()][:2] == [14, 10_000_000]
    project.raw("other", sentences("train", 60))
    prepare()
    report = read_json("data/audit.json")["b"]
    assert (report["rules"]["invisible"], report["rules"]["length"]) == ({"changed": 1}, {"dropped": 1})
    assert (report["kept_pairs"], report["lengths"]["source"]["characters"]["maximum"]) == (31, 13)


def test_a_character_that_training_never_saw_is_unknown_and_lowers_coverage(project: Project) -> None:
    project.texts()
    tokenizer()
    assert read_json("data/tokenizer/report.json")["source"]["coverage"] == 1
    toy.write_pairs(Path("data/text/b/tests/test.parquet"), [{"source": "ba 鱼", "target": "BA"}])
    tokenizer()
    assert read_json("data/tokenizer/report.json")["source"]["coverage"] < 1


def test_a_sentence_longer_than_the_positions_is_left_out_of_training_and_validation(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    project.with_toys()
    for name in ("train", "valid"):
        table = read_table(f"text/{name}.parquet", list(toy.SIDES))
        toy.write_pairs(Path(f"text/{name}.parquet"), [{"source": "ba " * 20, "target": "BA"}, *table.to_pylist()])
    caplog.set_level("INFO", logger="translab")
    training()()
    assert "base, seed 1: 50 training pairs (1 longer than 16 types left out), 20 for validation" in caplog.messages
    assert "ba ba ba" not in Path("run/samples.tsv").read_text(), "nor is it shown"


def test_empty_translations_score_nothing() -> None:
    scores = corpus_scores(["Go.", "Stop."], ["", ""], ["走。", "停。"], "zh")
    assert (scores["bleu"]["zh"]["score"], scores["chrf"]["score"], scores["exact_match"], scores["length_ratio"]) == (
        0,
        0,
        0,
        0,
    )
    assert scores["ter"]["score"] == 100
