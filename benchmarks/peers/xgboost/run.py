"""XGBoost on the joined columns, in the receiver's process: no privacy.

Categories are split one against the rest, as ours are.
The variant `alone` has the label party's columns only.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
import xgboost
from party import Stopwatch, auc, joined, meet, options, rows_of


def main():
    start = options()
    case, role = start.case, start.role
    rows = rows_of("receiver", case) if start.variant == "alone" else joined(case)
    meet(role, start.port, start.hosts)
    watch = Stopwatch()
    figure = None
    if role == "receiver":
        x, label, kept = rows["x"], rows["label"], rows["fold"] != 0
        terms = {
            "objective": "binary:logistic", "tree_method": "hist", "max_bin": 32, "lambda": 1.0,
            "max_depth": case["depth"], "eta": case["rate"],
            "max_cat_to_onehot": 1 + int(rows["kinds"].max(initial=0)),
        }  # fmt: skip
        kinds = {
            "feature_types": ["c" if many else "float" for many in rows["kinds"]],
            "enable_categorical": True,
        }
        fitted = xgboost.train(terms, xgboost.DMatrix(x[kept], label[kept], **kinds), case["trees"])
        held = xgboost.DMatrix(x[~kept], **kinds)
        figure = auc(label[~kept], np.asarray(fitted.predict(held)))
    watch.report(xgboost.__version__, len(rows["label"]), 0, auc=figure, scored_folds=1)


main()
