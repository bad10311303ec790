"""The model card of a run: what it is, what it was made of, how good it is and where it fails, in Markdown.

After Mitchell et al. 2019, "Model Cards for Model Reporting" (https://arxiv.org/abs/1810.03993). No figure is computed here;
facts.py says where each one is read. The same files give the same text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from translab import layout
from translab.cards.facts import Facts
from translab.cards.scores import METRICS, number, scores, splits
from translab.tracking.identity import LADDERS, parameters, sentence

REWRITTEN = {
    "invisible": "rid of control and zero-width characters",
    "unicode": "composed (Unicode NFC)",
    "white_space": "rid of superfluous white space",
    "simplified_chinese": "converted to simplified Chinese",
}
DROPPED = {
    "empty": "with an empty side",
    "length": "too short or too long",
    "ratio": "with sides of too unlike lengths",
    "duplicates": "duplicates",
    "held_out_of_b": "that share a sentence with the held-out sets of task B",
    "valid_meets_test": "of the validation set that share a sentence with a test set",
    "train_meets_held_out": "of the training set that share a sentence with a held-out set",
}
"""What the cleaning rules of data/audit.json do, after the number of pairs."""

SHORT = {"acceptance": "{} % accepted", "bleu": "BLEU {}", "chrf": "chrF {}"}
"""The scores that a short card has."""

EXAMPLE = "How much is the ticket?"


def model_card(facts: Facts) -> str:
    """The card of a run."""
    parts = [
        f"# {facts.config['name']}, seed {facts.config['seed']}",
        f"{sentence(facts.config)} A card after Mitchell et al. (2019), written from the project's files.",
        _use(facts),
        *_data(facts),
        *_model(facts),
        *scores(facts),
        *_limits(facts),
        *_reproduce(facts),
    ]
    return "\n\n".join(parts) + "\n"


def short_card(facts: Facts) -> str:
    """The card in a few sentences: what the model is, its scores, its data and their licence."""
    scored = facts.record["scores"]
    measured = [
        text.format(number(scored[metric]["raw"][facts.place], METRICS[metric][1]))
        for metric, text in SHORT.items()
        if metric in scored
    ]
    licences = "; ".join(f"{audit['corpus']}: {facts.corpora[task]['licence']}" for task, audit in facts.audit.items())
    return (
        f"{sentence(facts.config)} Best validation loss {number(facts.metrics['best_valid_loss'], 3)} nats per type. "
        f"On the test set: {', '.join(measured) or 'no scores'}. Licence of the data: {licences}. The whole card is "
        "README.md among the model's files."
    )


def _use(facts: Facts) -> str:
    folder = layout.run_folder(facts.config["name"], facts.config["seed"]).as_posix()
    text = f'"{EXAMPLE}"' if facts.config["source_language"] == "en" else "< sentences.txt"
    return f"## Use\n\n```sh\ntranslab translate --model {folder} {text}\n```"


def _data(facts: Facts) -> Iterator[str]:
    yield "## Data"
    for task, audit in facts.audit.items():
        entry = facts.corpora[task]
        role = (
            "trained and tested on it" if task == facts.config["task"] else "what its first layers, or further text, came from"
        )
        sizes = audit["sizes"]
        probes = [size for split, size in sizes.items() if split.startswith("probe-")]
        sets = [f"{split} {size:,}" for split, size in sizes.items() if not split.startswith("probe-")]
        if probes:
            sets.append(f"{_count(len(probes), 'probe')} with {sum(probes):,}")
        own = "the corpus's own" if audit["published_splits"] else "drawn, pairs that share a sentence stay together"
        compared = audit["leakage"]["comparisons"]
        lines = [
            f"**{audit['corpus']}** ({audit['source_language']}→{audit['target_language']}, kind `{entry['kind']}`; {role})",
            "",
            f"- Source: {entry['attribution']}. Licence of the data: {entry['licence']}.",
            f"- Cleaning: of {audit['raw_pairs']:,} pairs {audit['kept_pairs']:,} were kept; {_rules(audit['rules'])}.",
            f"- Splits ({own}): {', '.join(sets)} pairs.",
            f"- Leakage audit: {_count(len(compared), 'comparison')} of one set's sentences with another's; "
            f"{audit['leakage']['crossings']} sentences were in both.",
        ]
        yield "\n".join(lines)
    pairs = facts.config["values"]["data"]["training_pairs"]
    if pairs != "all":
        yield f"Of the training pairs it saw {pairs:,}, drawn by its seed."


def _rules(rules: Mapping[str, Mapping[str, int]]) -> str:
    changed = [f"{rules[rule]['changed']:,} {done}" for rule, done in REWRITTEN.items() if rules.get(rule, {}).get("changed")]
    dropped = [f"{rules[rule]['dropped']:,} {why}" for rule, why in DROPPED.items() if rules.get(rule, {}).get("dropped")]
    return f"rewritten: {', '.join(changed) or 'none'}; dropped: {', '.join(dropped) or 'none'}"


def _model(facts: Facts) -> Iterator[str]:
    parameters_, metrics, cost = facts.metrics["parameters"], facts.metrics, facts.cost
    transfer = facts.config["transfer"]
    lines = [
        f"- Parameters: {parameters_['total']:,}, of which {parameters_['trainable']:,} were trained and "
        f"{parameters_['embedding']:,} are embeddings.",
        f"- Vocabularies (byte-pair encoding): {facts.types[0]:,} source types, {facts.types[1]:,} target types.",
        f"- Training: {metrics['updates']:,} updates, {metrics['tokens']:,} target types; the weights are those of update "
        f"{metrics['best_step']:,}, with the lowest validation loss, {number(metrics['best_valid_loss'], 3)} nats per type.",
        f"- Cost: {cost['seconds']['total']:.1f} s on {cost['device']} with {_count(cost['threads'], 'thread')}, "
        f"{cost['peak_memory_mib']:,.0f} MiB at most; {', '.join(map(' '.join, cost['versions'].items()))}.",
    ]
    if transfer:
        lines.append(
            f"- It began with the {transfer['shallow_layers']} shallowest layers of {LADDERS[transfer['ladder']]} of "
            f"{transfer['source']}, seed {facts.config['seed']} (its cost is not counted here)."
        )
    if metrics["diverged_at"] is not None:
        lines.append(f"- Its loss stopped being a number after {metrics['diverged_at']:,} updates.")
    yield "## Model"
    yield "\n".join(lines)
    yield "\n".join(["Values:", "", *(f"- `{key}`: {value}" for key, value in parameters(facts.config).items())])


def _limits(facts: Facts) -> Iterator[str]:
    task = facts.config["task"]
    audit, entry = facts.audit[task], facts.corpora[task]
    words, types = audit["lengths"]["source"]["words"], audit["types"]
    lines = []
    if entry["kind"] == "phrasebook":
        lines.append(
            f"Its language is artificial: a grammar wrote every sentence, out of {types['source']:,} source words and "
            f"{types['target']:,} target words (a Chinese character counts as one). It can translate nothing else."
        )
    else:
        lines.append(f"It learned from text like that of {audit['corpus']}; other domains and styles were not tested.")
    lines.append(
        f"It reads at most {facts.config['values']['model']['maximum_length']:,} types of a sentence, the rest is cut; the "
        f"longest sentence of its corpus has {words['maximum']} words."
    )
    further = splits(facts)
    for name, what in (
        ("test-compositional", "known words in combinations never seen"),
        ("test-longer", "longer sentences than in training"),
    ):
        if name in further:
            lines.append(f"Of {what} it translates {number(further[name]['raw'][facts.place], 1)} % acceptably.")
    chance = [each["set"].removeprefix("probe-") for each in facts.probes if each["kind"] == "probe" and each["at_chance"]]
    if chance:
        lines.append(f"No better than chance, as far as the interval says: {', '.join(chance)}.")
    lines += [
        "A character that its vocabulary does not have is read as [UNK].",
        "A translation can read well and be wrong; its score does not tell.",
        "It was made to compare models, not for use: where a wrong translation does harm, do not rely on it.",
    ]
    yield "## Limits"
    yield "\n".join(f"- {line}" for line in lines)


def _reproduce(facts: Facts) -> Iterator[str]:
    config, commit = facts.config, facts.cost["git_commit"]
    name, seed = config["name"], config["seed"]
    stage = {"ablate": "ablate@", "pretrain": "pretrain@", "finetune": "--glob 'finetune-*@"}[config["stage"]]
    instance = f"{stage}{name}-{seed}" + ("'" if config["stage"] == "finetune" else "")
    where = f"commit `{commit}`" if commit else "an unknown commit, since it was trained outside of git"
    yield "## How to make it again"
    yield (
        f"It was trained at {where}, with the values above in `params.yaml` (a recipe may have put them there; "
        "`src/translab/config/` says what each one means)."
    )
    lines = [*([f"git checkout {commit}"] if commit else []), "make setup", f".venv/bin/dvc repro {instance}"]
    lines.append(f"sha256sum {layout.run_folder(name, seed).as_posix()}/model.safetensors")
    yield "\n".join(["```sh", *lines, "```"])
    yield f"On a machine of the same kind the last line says `{facts.weights}`."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
