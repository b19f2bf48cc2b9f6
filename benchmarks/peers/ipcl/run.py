"""Intel's Paillier library by its Python package: DJN encryption on IFMA."""

import random
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from cipher import Figures, case

wanted = case()  # before the library counts the cores

from ipcl_python import PaillierKeypair  # noqa: E402

public, private = PaillierKeypair.generate_keypair(wanted["bits"], True)
values = [random.randrange(1 << 40) for _ in range(512)]
count = len(values)
figures = Figures(version("ipcl-python"))
found = figures.add("encrypt", count, lambda: public.encrypt(values))
figures.add("add", count, lambda: found + found)
figures.add("mul_plain", count, lambda: found * 1_987_654_321)
figures.add("decrypt", count, lambda: private.decrypt(found))
figures.report()
