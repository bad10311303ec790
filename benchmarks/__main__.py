"""Run every benchmark: `make bench`."""

from benchmarks import bodies, freezing, training

training.main()
freezing.main()
bodies.main()
