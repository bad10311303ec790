"""What can be wrong with an evaluation's inputs."""


class EvaluationError(ValueError):
    """A model or a test set is not there, or they do not fit together."""
