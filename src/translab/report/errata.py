"""What tutorials on Transformers and translation often say and is simply false: no evidence is needed, a test shows it.

A claim asks which of two choices is better, and evidence decides. These statements are of another kind: about what a formula, a
count or a definition is. Each stands beside the sentence that is right and the test of this project that fails if it is not.
"""

from __future__ import annotations

from dataclasses import dataclass

from translab.report.sheets import Table, table


@dataclass(frozen=True)
class Erratum:
    """A false statement, the true one, and the test that shows it as `tests/<file>::<test>`."""

    said: str
    right: str
    test: str


ERRATA = (
    Erratum(
        "Cross-entropy compares two distributions, so prediction and truth may change places.",
        "Cross-entropy is not symmetric: H(p, q) averages −log q over p, and H(q, p) is another number; only the first has its "
        "minimum over q at q = p.",
        "tests/test_errata.py::test_cross_entropy_is_not_symmetric",
    ),
    Erratum(
        "In attention the keys and values are the words themselves.",
        "Keys and values are projections of the words' states, each by a learned matrix of its own; with other matrices "
        "the same words give another result.",
        "tests/test_errata.py::test_keys_and_values_are_projections_and_not_the_words",
    ),
    Erratum(
        "More heads mean more parameters.",
        "Heads divide the width among them: one head and sixty-four have the same matrices, and equal counts.",
        "tests/test_models.py::test_heads_change_neither_the_parameters_nor_their_first_values_but_the_result",
    ),
    Erratum(
        "Sinusoidal positions are learned during training.",
        "They are a fixed table, sines and cosines of the position; no parameter belongs to them.",
        "tests/test_models.py::test_sinusoidal_positions_are_the_published_table",
    ),
    Erratum(
        "Self-attention reads a sentence from left to right and so knows the order of its words.",
        "Without positions an encoder gives a shuffled sentence the same states, shuffled alike.",
        "tests/test_models.py::test_without_positions_the_encoder_does_not_see_order",
    ),
    Erratum(
        "A Transformer's attention is masked, so that no word sees a later one.",
        "Only the decoder's self-attention is; the encoder looks in both directions, and the decoder sees the whole source.",
        "tests/test_models.py::test_the_encoder_looks_in_both_directions",
    ),
    Erratum(
        "Padding takes part in attention, so that a translation depends on the sentences beside it in the batch.",
        "A mask gives padding the weight 0; a sentence has the same result alone and in any batch.",
        "tests/test_models.py::test_padding_cannot_change_an_unpadded_output",
    ),
    Erratum(
        "An embedding layer is something else than a linear layer on one-hot vectors.",
        "It is that product, computed as a look-up.",
        "tests/test_word_vectors.py::test_one_hot_input_is_the_product_with_one_hot_vectors",
    ),
    Erratum(
        "A masked language model replaces 15 % of its words by [MASK].",
        "It chooses 15 %; of those 80 % become [MASK], 10 % another word, and 10 % stay (Devlin et al. 2019, section 3.1).",
        "tests/test_objectives.py::test_masking_hides_the_right_share_in_three_ways_and_never_a_special",
    ),
    Erratum(
        "The BLEU of a corpus is the mean of its sentences' BLEU.",
        "It is a function of counts that are summed over the corpus first (Papineni et al. 2002); the mean is another number.",
        "tests/test_errata.py::test_the_bleu_of_a_corpus_is_not_the_mean_over_sentences",
    ),
    Erratum(
        "Of two language models the one with the lower perplexity predicts the text better.",
        "Perplexity is per token, and falls when a vocabulary cuts words into more of them; only bits per character compare "
        "models with different vocabularies.",
        "tests/test_intrinsic.py::test_bits_per_character_do_not_depend_on_the_vocabulary_and_not_knowing_a_character_gains_nothing",
    ),
    Erratum(
        "A random split of the lines keeps test sentences out of training.",
        "Lines share sentences with other lines; unless all pairs that share a side go to the same part, the test set leaks.",
        "tests/test_errata.py::test_a_random_split_of_lines_leaks",
    ),
)


def contents() -> Table:
    """The section's table."""
    return table(
        {
            "often said": [erratum.said for erratum in ERRATA],
            "right": [erratum.right for erratum in ERRATA],
            "shown by": [f"`{erratum.test}`" for erratum in ERRATA],
        },
        [],
    )
