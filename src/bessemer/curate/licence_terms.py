"""The words by which a text says who owns it and on what terms, as parts of a pattern.

They are searched for whatever their case.
"""

from __future__ import annotations

COPYRIGHT = r"\bcopyright\b|\(c\)\s*\d{4}|©\s*\d{4}|\ball rights reserved\b"
LICENCE = (
    r"SPDX-License-Identifier|\blicen[sc]ed (?:under|to)\b|"
    r"\bpermission is hereby granted\b|\bredistribution and use\b|"
    r"\bGNU (?:Lesser |Affero )?General Public\b|\bpublic domain\b|@licen[sc]e\b|"
    r"\b(?:Apache|MIT|BSD|Mozilla Public) Licen[sc]e\b"
)
CLAUSES = (
    r"\bthis permission notice\b|\bwithout warrant(?:y|ies) of any kind\b|"
    r"\bcreative commons\b|\b(?:under|terms of) (?:the|this|an?) [\w ,.()-]{0,60}licen[sc]e\b"
)
"""More of what the paragraphs of a licence say, beside those that name it."""
