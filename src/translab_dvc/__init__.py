"""What makes DVC comfortable for a grid of many short runs: a parallel `repro`, recipes, and a smoke test.

The pipeline itself is plain DVC (`dvc.yaml`, `params.yaml`): `dvc repro` gives the same results, one instance at a time.
Nothing in `translab` imports this package, and no stage depends on it.
"""
