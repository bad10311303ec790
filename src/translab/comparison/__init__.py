"""From scored translations to verdicts: what the evidence says about each claim. `translab.report` shows it."""
