"""Keys cleaned: one spelling for each identifier before it is hashed.

>>> import pyarrow as pa
>>> given = pa.array(["９１１１００００６０００３７３４１Ｌ", "9111 0000 6000 3734 1l", ""])
>>> cleaned = clean(given, "credit_code")
>>> cleaned.values.to_pylist()
['91110000600037341L', '91110000600037341L', None]
>>> cleaned
Cleaned(kind='credit_code', reasons={'empty': 1}, changed=2)
"""

from __future__ import annotations

from psi.identifiers.clean import KINDS, Cleaned, check_kind, clean
from psi.identifiers.guess import guess_kind
from psi.identifiers.keys import combine, key_buffer

__all__ = ["KINDS", "Cleaned", "check_kind", "clean", "combine", "guess_kind", "key_buffer"]
