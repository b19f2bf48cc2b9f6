"""SecretFlow's SS-SGD on its own SPU, a process a party, its fed layer on threads (no Ray).

Without a variant two parties that trust nobody (CHEETAH); `dealer` trusts the first one to deal
(SEMI2K). Trees: SGB by Okamoto-Uchiyama, which knows numbers only: categories are cut in the order
of the alphabet. It has no folds at once: rows outside of the first fold
are fitted, those in it are scored.
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
from party import Stopwatch, auc, meet, options, rows_of

EPOCHS, BATCH, RATE = 3, 1024, 1.0


def main():
    start = options()
    case, role = start.case, start.role
    rows = rows_of(role, case)
    os.chdir(case["folder"])  # it leaves logs where it runs
    import secretflow as sf

    places = {name: f"{host}:{port}" for name, (host, port) in start.addresses().items()}
    parties = {name: {"address": place, "listen_addr": place} for name, place in places.items()}
    meet(role, start.port, start.hosts)
    time.sleep(0.5)  # the port of the meeting is free again
    watch = Stopwatch()
    sf.init(
        address=None, ray_mode=False, logging_level="error",
        cluster_config={"parties": parties, "self_party": role},
        cross_silo_comm_backend="brpc_link",
    )  # fmt: skip
    receiver, sender = sf.PYU("receiver"), sf.PYU("sender")
    train, label = rows["fold"] != 0, rows.get("label", np.zeros(len(rows["fold"])))
    own = {receiver: receiver, sender: sender}
    x = loaded(sf, own, role, rows["x"][train])
    y = loaded(sf, {receiver: receiver}, role, label[train].reshape(-1, 1))
    held = loaded(sf, own, role, rows["x"][~train])
    if case["model"] == "trees":
        scores = trees(sf, receiver, sender, case, (x, y, held))
    else:
        scores = logistic(sf, start, places, (x, y, held), receiver)
    found = np.asarray(sf.reveal(scores)).reshape(-1)
    figure = auc(label[~train], found) if role == "receiver" else None
    processor, peak = helpers()
    watch.cpu -= processor
    watch.report(sf.__version__, len(found), auc=figure, scored_folds=1, peak_mb=peak)
    sf.shutdown()


def helpers():
    """Processor time of the processes that this one has started, and the peak of all in MB."""
    parents, times, peak = {}, {}, 0.0
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "stat").read_text().rpartition(")")[2].split()
            lines = (place / "status").read_text().splitlines()
        except OSError:
            continue
        memory = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
        parents[int(place.name)] = int(words[1])
        times[int(place.name)] = int(words[11]) + int(words[12]), sum(memory) / 1024
    ticks = 0
    for number in parents:
        above = number
        while above in parents and above != os.getpid():
            above = parents[above]
        if above == os.getpid():
            peak += times[number][1]
            ticks += times[number][0] if number != os.getpid() else 0
    return ticks / os.sysconf("SC_CLK_TCK"), peak


def loaded(sf, own, role, array):
    """A vertically split array: each party gives its columns."""
    from secretflow.data.ndarray import FedNdarray, PartitionWay

    parts = {party: party(lambda part: part)(array) for party in own}
    return FedNdarray(partitions=parts, partition_way=PartitionWay.VERTICAL)


def logistic(sf, start, places, data, receiver):
    x, y, held = data
    base = start.port + 40
    nodes = [
        {"party": name, "address": f"{host}:{base + at}"}
        for at, (name, (host, _)) in enumerate(start.addresses().items())
    ]
    dealt = start.variant == "dealer"
    protocol = "SEMI2K" if dealt else "CHEETAH"
    device = sf.SPU(
        {
            "nodes": nodes,
            "runtime_config": {"protocol": protocol, "field": "FM64"},
        },
        link_desc={"recv_timeout_ms": 3_600_000, "connect_retry_times": 60},
    )
    from secretflow.ml.linear.ss_sgd import SSRegression

    model = SSRegression(device)
    model.fit(
        x, y, EPOCHS, learning_rate=RATE, batch_size=BATCH, sig_type="t1", reg_type="logistic",
        penalty="l2", l2_norm=0.0001,
    )  # fmt: skip
    return model.predict(held, to_pyu=receiver).partitions[receiver]


def trees(sf, receiver, sender, case, data):
    x, y, held = data
    from secretflow.ml.boost.sgb_v import Sgb

    heu = sf.HEU(
        {
            "sk_keeper": {"party": "receiver"},
            "evaluators": [{"party": "sender"}],
            "mode": "PHEU",
            "he_parameters": {
                "schema": "ou",
                "key_pair": {"generate": {"bit_size": 2048}},
            },
        },
        None,
    )
    model = Sgb(heu).train(
        {
            "num_boost_round": case["trees"], "max_depth": case["depth"],
            "learning_rate": case["rate"], "sketch_eps": 1 / 32, "objective": "logistic",
            "reg_lambda": 1.0, "audit_paths": {},
        },
        x, y,
    )  # fmt: skip
    return model.predict(held, to_pyu=receiver).partitions[receiver]


try:
    main()
    code = 0
except BaseException as error:  # its threads would keep the process alive for ever
    print(f"{type(error).__name__}: {error}", file=sys.stderr)
    code = 1
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)
