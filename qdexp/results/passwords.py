"""Addresses without their passwords: for messages, and for what the ledger keeps."""

import re


def without_password(address: str) -> str:
    """Returns an address as it may be shown, or a text that holds one.

    A password stands before the host, up to the last ``@`` since it may hold others, or is a
    parameter of PostgreSQL's or MySQL's. Addresses that nobody could open lose theirs, too.
    """
    shown = re.sub(r"(:/{1,2}[^:/@\s]*):.*@", r"\1@", address)
    return re.sub(r"([?&](?:ssl)?pass(?:word|wd)=)[^&\s]*", r"\1...", shown)
