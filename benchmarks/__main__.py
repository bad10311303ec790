"""Run every benchmark: `make bench`."""

from benchmarks import training

training.main()
