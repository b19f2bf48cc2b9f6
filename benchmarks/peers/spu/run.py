"""SecretFlow's SPU: in-memory PSI over brpc. Variants: ecdh, rr22, rr22-malicious, kkrt."""

import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from party import Stopwatch, ids, meet, options
from spu import psi
from spu.libspu import link

KINDS = {
    "ecdh": "ECDH_PSI_2PC",
    "rr22": "RR22_FAST_PSI_2PC",
    "rr22-malicious": "RR22_MALICIOUS_PSI_2PC",
    "kkrt": "KKRT_PSI_2PC",
}


def main():
    role, case, port, variant = options()
    config = psi.MemoryPsiConfig(
        psi_type=psi.PsiType.Value(KINDS[variant]),
        receiver_rank=0,
        broadcast_result=case["mode"] == "both",
        curve_type=psi.CurveType.CURVE_25519 if variant == "ecdh" else 0,
    )
    items = ids(role, case)
    parties = link.Desc()
    parties.recv_timeout_ms = 3_600_000
    parties.add_party("receiver", f"127.0.0.1:{port + 1}")
    parties.add_party("sender", f"127.0.0.1:{port}")
    meet(role, port)
    context = link.create_brpc(parties, 0 if role == "receiver" else 1)
    watch = Stopwatch()
    found = psi.mem_psi(context, config, items)
    watch.report(version("spu"), len(found))
    context.stop_link()


main()
