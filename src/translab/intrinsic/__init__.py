"""What a pretrained model knows by itself, before any of it is handed on: one measure, one file.

A measure asks for a protocol of pretraining/objective.py, or for a table of static vectors, never for a method. What a model
cannot be asked, or what the corpus has no truth for, is null.

    language_model   perplexity, bits per character              LanguageModel
    cloze            guessing a hidden type                      GapFiller
    neighbours       the nearest words of some                   static vectors
    classes          word classes apart                          static vectors, classes.parquet
    senses           senses of one form apart                    Contextual or static vectors, senses.parquet
    sentences        finding a sentence's other view             Summarised
    topics           classification by a linear layer            Summarised, topics.parquet
"""
