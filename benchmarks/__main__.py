"""Run every benchmark: `make bench`."""

from benchmarks import bodies, decoding, freezing, publishing, training

training.main()
freezing.main()
bodies.main()
decoding.main()
publishing.main(publishing.RUNS)
