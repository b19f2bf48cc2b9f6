"""TenSEAL's CKKS, 4,096 slots: approximate and of another kind, for scale only."""

import random
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from cipher import Figures, case

wanted = case()  # before SEAL counts the cores

import tenseal  # noqa: E402

context = tenseal.context(tenseal.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=[60, 40, 40, 60])
context.global_scale = 2.0**40
batches, slots = 16, 4096
count = batches * slots
tables = [[random.random() for _ in range(slots)] for _ in range(batches)]
figures = Figures(version("tenseal"))
found = figures.add(
    "encrypt", count, lambda: [tenseal.ckks_vector(context, t) for t in tables], packed=True
)
figures.add("add", count, lambda: [one + one for one in found], packed=True)
figures.add("mul_plain", count, lambda: [one * 1.5 for one in found], packed=True)
figures.add("decrypt", count, lambda: [one.decrypt() for one in found], packed=True)
figures.report()
