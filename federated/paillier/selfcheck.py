"""What `fedprofile selftest` says about Paillier: a few seconds, no secrets."""

from __future__ import annotations

from collections.abc import Callable

from federated.paillier.keys import DEFAULT_BITS, MINIMUM_BITS, generate_keypair
from federated.paillier.path import current_path, use_path
from federated.paillier.plaintexts import Plaintexts
from federated.paillier.vector import EncryptedVector
from psi.protocol.errors import FedprofileError, MisuseError

__all__ = ["selfcheck"]

VALUES = [0, 1, -1, 123_456_789, -(1 << 40)]


def selfcheck() -> list[tuple[str, bool, str]]:
    """(what, is it right, detail) for every check; a check that breaks is a wrong one."""
    private = generate_keypair(MINIMUM_BITS)
    public = private.public
    plaintexts = Plaintexts.from_ints(VALUES, bound=1 << 41)
    width = public.ciphertext_bytes

    def path() -> tuple[bool, str]:
        return True, f"arithmetic path: {current_path()}"

    def default_size() -> tuple[bool, str]:
        return DEFAULT_BITS >= 3072, f"{DEFAULT_BITS} bits, never below {MINIMUM_BITS}"

    def small_refused() -> tuple[bool, str]:
        try:
            generate_keypair(1024)
        except MisuseError:
            return True, "1024 bits are refused"
        return False, "1024 bits were accepted"

    def probabilistic() -> tuple[bool, str]:
        same = Plaintexts.from_ints([7] * 16)
        data = EncryptedVector.encrypt(public, same).to_bytes()
        data += EncryptedVector.encrypt(private, same).to_bytes()
        distinct = {data[at : at + width] for at in range(0, len(data), width)}
        return len(distinct) == 32, f"{len(distinct)} ciphertexts of 32 equal plaintexts"

    def opens() -> tuple[bool, str]:
        doubled = EncryptedVector.encrypt(public, plaintexts).multiply_plain(-2)
        return doubled.decrypt(private).to_ints() == [-2 * v for v in VALUES], "sums and products"

    def phe_agrees() -> tuple[bool, str]:
        ours = EncryptedVector.encrypt(private, plaintexts).to_phe()
        theirs, _ = EncryptedVector.from_phe([public.phe.encrypt(value) for value in VALUES])
        right = [private.phe.decrypt(number) for number in ours] == VALUES
        return right and theirs.decrypt(private).to_ints() == VALUES, "both ways"

    def paths_agree() -> tuple[bool, str]:
        if current_path() == "portable":
            return True, "one path only"
        with use_path("portable"):
            vector = EncryptedVector.encrypt(public, plaintexts)
            expected = vector.multiply_plain(-3).to_bytes()
        again = EncryptedVector.from_bytes(public, vector.to_bytes(), len(VALUES), bound_bits=41)
        return again.multiply_plain(-3).to_bytes() == expected, "wide and portable, bit by bit"

    checks: list[tuple[str, Callable[[], tuple[bool, str]]]] = [
        ("paillier path", path),
        ("paillier key size", default_size),
        ("small paillier keys", small_refused),
        ("equal plaintexts encrypt differently", probabilistic),
        ("paillier arithmetic", opens),
        ("agreement with phe", phe_agrees),
        ("agreement of paths", paths_agree),
    ]
    report = []
    for name, check in checks:
        try:
            right, detail = check()
        except FedprofileError as error:
            right, detail = False, str(error)
        report.append((name, right, detail))
    return report
