"""phe (python-paillier) with gmpy2: one number at a time, as its users have it."""

import random
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from cipher import Figures, case
from phe import paillier

wanted = case()
public, private = paillier.generate_paillier_keypair(n_length=wanted["bits"])
figures = Figures(version("phe"))
values = [random.randrange(1 << 40) for _ in range(64)]
count = len(values)
found = figures.add("encrypt", count, lambda: [public.encrypt(value) for value in values])
figures.add("add", count, lambda: [one + one for one in found])
figures.add("mul_plain", count, lambda: [one * 1_987_654_321 for one in found])
figures.add("decrypt", count, lambda: [private.decrypt(one) for one in found])
figures.report()
