"""Addresses as they may be shown and logged: without a user, a password, or what a query holds, which may be a token."""

from __future__ import annotations

import re

USER = re.compile(r"(://)[^/\s]*@")
QUERY = re.compile(r"\?[^\s'\"<>=]+=[^\s'\"<>)]*?(?=[.,:;]*(?:[\s'\"<>)]|$))")
"""What follows a question mark, up to a space, a quote, or a mark that ends a part of a sentence."""


def without_secrets(text: str) -> str:
    """An address, or a text with addresses, without what may be secret in them.

    >>> without_secrets("GET https://me:token@example.org/corpus.zip?key=1&token=2 failed")
    'GET https://***@example.org/corpus.zip?*** failed'
    """
    return QUERY.sub("?***", USER.sub(r"\1***@", text))
