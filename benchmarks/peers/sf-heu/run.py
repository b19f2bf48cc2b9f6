"""SecretFlow's HEU, vector interface: ZPaillier, randomiser exponents of half the modulus."""

import random
import sys
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from cipher import Figures, case

wanted = case()  # before heu counts the cores

from heu import numpy as hnp  # noqa: E402
from heu import phe  # noqa: E402

kit = hnp.HeKit(phe.setup(phe.SchemaType.ZPaillier, wanted["bits"]))
encryptor, decryptor, evaluator = kit.encryptor(), kit.decryptor(), kit.evaluator()
count = min(wanted["values"], 2048)
encoder = phe.BigintEncoder(phe.SchemaType.ZPaillier)
plain = kit.array([random.randrange(1 << 40) for _ in range(count)], encoder)
factors = kit.array([random.randrange(1 << 31) for _ in range(count)], encoder)
encryptor.encrypt(plain)
figures = Figures(version("sf-heu"))
found = figures.add("encrypt", count, lambda: encryptor.encrypt(plain))
figures.add("add", count, lambda: evaluator.add(found, found))
figures.add("mul_plain", count, lambda: evaluator.mul(found, factors))
figures.add("decrypt", count, lambda: decryptor.decrypt(found))
figures.report()
