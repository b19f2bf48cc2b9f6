"""SecretFlow's SPU over brpc. In memory: ecdh, rr22, rr22-malicious, kkrt; from files: csv, ub.

`csv` is its RR22 from a CSV file to a CSV file of the shared rows, duplicates checked and rows
sorted, as it does unless told otherwise. `ub` is its unbalanced ECDH: the sender's tags are made
and handed over first, which is told as `offline_s`; then the receiver's items are looked up.
"""

import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from party import Stopwatch, carried, ids, meet, options
from spu import psi
from spu.libspu import link

KINDS = {
    "ecdh": "ECDH_PSI_2PC",
    "rr22": "RR22_FAST_PSI_2PC",
    "rr22-malicious": "RR22_MALICIOUS_PSI_2PC",
    "kkrt": "KKRT_PSI_2PC",
}


def main():
    role, case, port, variant, hosts = options()
    if variant == "ub" and hosts[0] != "127.0.0.1":
        sys.exit("ub counts the loopback device's bytes: it is measured there only")
    items = ids(role, case)
    parties = link.Desc()
    parties.recv_timeout_ms = 3_600_000
    parties.add_party("receiver", f"{hosts[0]}:{port + 1}")
    parties.add_party("sender", f"{hosts[1]}:{port}")
    meet(role, port, hosts)
    context = link.create_brpc(parties, 0 if role == "receiver" else 1)
    run = {"ub": unbalanced, "csv": from_csv}.get(variant, in_memory)
    run(role, case, variant, items, context)
    context.stop_link()


def in_memory(role, case, variant, items, context):
    config = psi.MemoryPsiConfig(
        psi_type=psi.PsiType.Value(KINDS[variant]),
        receiver_rank=0,
        broadcast_result=case["mode"] == "both",
        curve_type=psi.CurveType.CURVE_25519 if variant == "ecdh" else 0,
    )
    watch = Stopwatch()
    found = psi.mem_psi(context, config, items)
    watch.report(version("spu"), len(found))


def from_csv(role, case, variant, items, context):
    with tempfile.TemporaryDirectory() as folder:
        table, out = Path(folder) / "in.csv", Path(folder) / "out.csv"
        table.write_text("id\n" + "\n".join(items) + "\n")
        csv = psi.IoType.Value("IO_TYPE_FILE_CSV")
        config = psi.PsiConfig(
            protocol_config=psi.ProtocolConfig(
                protocol=psi.Protocol.Value("PROTOCOL_RR22"),
                role=psi.Role.Value(f"ROLE_{role.upper()}"),
                broadcast_result=case["mode"] == "both",
            ),
            input_config=psi.IoConfig(type=csv, path=str(table)),
            output_config=psi.IoConfig(type=csv, path=str(out)),
            keys=["id"],
        )
        watch = Stopwatch()
        psi.psi(config, context)
        matched = len(out.read_text().splitlines()) - 1 if role == "receiver" else case["matched"]
        watch.report(version("spu"), matched)


def unbalanced(role, case, variant, items, context):
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        table, out, key = place / "in.csv", place / "out.csv", place / "key"
        table.write_text("id\n" + "\n".join(items) + "\n")
        key.write_bytes(bytes(range(1, 33)))

        def config(mode):
            server = role == "sender"
            made = psi.UbPsiConfig(
                mode=psi.UbPsiConfig.Mode.Value(mode),
                role=psi.Role.Value("ROLE_SERVER" if server else "ROLE_CLIENT"),
                cache_path=str(place / "cache"),
                input_config=psi.IoConfig(
                    type=psi.IoType.Value("IO_TYPE_FILE_CSV"), path=str(table)
                ),
                keys=["id"],
                client_get_result=True,
                disable_alignment=True,
                output_config=psi.IoConfig(
                    type=psi.IoType.Value("IO_TYPE_FILE_CSV"), path=str(out)
                ),
            )
            if server:
                made.server_secret_key_path = str(key)
            return made

        begun = time.perf_counter()
        psi.ub_psi(config("MODE_OFFLINE"), context)
        offline = time.perf_counter() - begun
        watch, before = Stopwatch(), carried()
        psi.ub_psi(config("MODE_ONLINE"), context)
        matched, sent = case["matched"], 0
        if role == "receiver":
            matched = len(out.read_text().splitlines()) - 1
            sent = carried() - before
        watch.report(version("spu"), matched, sent, offline)


main()
