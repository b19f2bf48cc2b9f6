"""Who comes first of those who are alike: drawn anew for each list of each job, never by name.

By name the same people would always have a list's last place, and who is told a list's last name
would know of all others with that score on which side of it they are. Drawn is by a hash of the
name under a key that nobody knew before the job's contract was made: nobody can choose a name that
wins, and a job that was killed and goes on makes the same list again.
"""

from __future__ import annotations

from hashlib import blake2s
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from psi.identifiers.keys import key_buffer
from psi.kernels.blake2s import Blake2s

__all__ = ["Draw"]

Words = np.ndarray[Any, np.dtype[np.uint64]]

_PERSON = b"tied-one"


class Draw:
    """The draw of one list.

    Args:
        key: any bytes: of a job, the digest of its contract.
        product: names the list.
    """

    def __init__(self, key: bytes, product: str) -> None:
        self._key = blake2s(product.encode(), key=key[:32]).digest()

    def __repr__(self) -> str:
        return "<draw>"

    def places(self, people: pa.Array | pa.ChunkedArray) -> Words:
        """`uint64[rows]`: of those who are alike the lower comes first; who has no name, last."""
        texts = pa.chunked_array([people]) if isinstance(people, pa.Array) else people
        texts = texts.cast(pa.large_string())
        named = pc.is_valid(texts).to_numpy()
        found = np.full(len(named), np.iinfo(np.uint64).max, np.uint64)
        data, offsets = key_buffer(texts.filter(pa.array(named)))
        found[named] = Blake2s(self._key, _PERSON).strings(data, offsets)[:, 0]
        return found
