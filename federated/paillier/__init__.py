"""Paillier encryption of whole vectors: keys, packing, and arithmetic on ciphertexts.

    private = generate_keypair()                      # 3072 bits; phe's classes in .phe
    packing = Packing.fit(3072, value_bits=40, additions=10**6)
    rows = EncryptedVector.encrypt(private, packing.pack(measures))
    sums = rows.segment_sum(codes, groups).rerandomise(for_key_holder=True)
    packing.unpack_int64(sums.decrypt(private))

    kept = EncryptedVector.from_bytes(public, data, count, packing=packing)   # at the other party
    masked, masks = kept.weighted_sums(weights).mask_uniform()
    masked.rerandomise(for_key_holder=True).to_bytes()

Nothing is re-randomised unasked: before a result leaves a party, say who reads it. A ciphertext
takes a kilobyte in memory at 3072 bits (768 on the wire): send and read large vectors in slices.
Bounds travel with vectors; slots and n/2 cannot overflow unseen.

Semi-honest: a ciphertext hides its plaintext from everyone without the private key, under the
decisional composite residuosity assumption and, where short exponents are used, the one named
in `randomness`. Sizes of vectors are public. Received keys and ciphertexts are validated.
"""

from __future__ import annotations

from federated.paillier.fixed_point import decode, encode
from federated.paillier.keys import (
    DEFAULT_BITS,
    MINIMUM_BITS,
    PrivateKey,
    PublicKey,
    generate_keypair,
)
from federated.paillier.packing import Packing
from federated.paillier.path import current_path, use_path
from federated.paillier.plaintexts import Plaintexts
from federated.paillier.randomness import ObfuscatorPool
from federated.paillier.vector import EncryptedVector

__all__ = [
    "DEFAULT_BITS",
    "MINIMUM_BITS",
    "EncryptedVector",
    "ObfuscatorPool",
    "Packing",
    "Plaintexts",
    "PrivateKey",
    "PublicKey",
    "current_path",
    "decode",
    "encode",
    "generate_keypair",
    "use_path",
]
