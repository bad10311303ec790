"""From scored translations to verdicts: what the evidence says about each claim, and the report that shows it."""
