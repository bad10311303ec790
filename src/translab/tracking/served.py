"""What `mlflow models serve` runs: a run folder that answers requests. MLflow copies this file into the model.

A request is a table with one column, `source`: one sentence a row. Its parameters, those of params.yaml unless given:

    beam             hypotheses kept, 1 to 64; 1 is greedy
    length_penalty   exponent α of the length, 0 or more
    best             translations a sentence, 1 to `beam`; 1 unless given

An answer has, for each row, the best `translation`, its `score`, all `candidates` (best first) and `notes`, sentences that say
what was odd about the row: that it was empty, cut, or held unknown characters. What is wrong with a request is said with the
code 400; nothing of a request is translated then.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd  # not for checking alone: MLflow looks at the type of `model_input`
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel, PythonModelContext

LARGEST_BEAM = 64
"""Memory grows with the beam, and translations get worse long before this width (Koehn & Knowles 2017, section 3.6)."""


class Served(PythonModel):  # type: ignore[misc]  # mlflow has no types
    """The translator of the model's run folder."""

    def load_context(self, context: PythonModelContext) -> None:
        """Load the weights, once. `model_config` says how many tokens are decoded together, and on which device."""
        from translab.inference import load_inference  # imports PyTorch, which writing the model does not need

        self.batch_tokens: int = context.model_config["batch_tokens"]
        self.inference = load_inference(Path(context.artifacts["run"]), context.model_config["device"])

    def predict(self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any]) -> list[dict[str, Any]]:
        """Translate the column `source`; one answer a row, in order.

        Raises:
            MlflowException: the request is wrong; the server answers 400 with the sentence.
        """
        sentences = model_input["source"].tolist()
        if not sentences:
            raise _refusal("The request has no sentence; give at least one in the column `source`.")
        for row, sentence in enumerate(sentences):
            if not isinstance(sentence, str):
                raise _refusal(f'Row {row} of the column `source` is {sentence!r}, which is no text; give a sentence, or "".')
        beam, length_penalty, best = params["beam"], params["length_penalty"], params["best"]
        if not 1 <= beam <= LARGEST_BEAM:
            raise _refusal(f"The parameter beam is {beam}; give a whole number from 1 to {LARGEST_BEAM}.")
        if not 1 <= best <= beam:
            raise _refusal(f"The parameter best is {best} with a beam of {beam}; give a whole number from 1 to the beam.")
        if not (math.isfinite(length_penalty) and length_penalty >= 0):
            raise _refusal(f"The parameter length_penalty is {length_penalty}; give a number from 0 up.")
        found = self.inference.translate(
            sentences,
            beam=int(beam),
            length_penalty=float(length_penalty),
            batch_tokens=self.batch_tokens,
            best=int(best),
            progress=None,
        )
        return [
            {
                "translation": each.candidates[0].text,
                "score": each.candidates[0].score,
                "candidates": [{"text": candidate.text, "score": candidate.score} for candidate in each.candidates],
                "notes": list(each.notes),
            }
            for each in found
        ]


def _refusal(sentence: str) -> MlflowException:
    refusal: MlflowException = MlflowException.invalid_parameter_value(sentence)
    return refusal


set_model(Served())
