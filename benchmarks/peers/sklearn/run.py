"""scikit-learn's logistic regression on the joined columns in one process: no privacy."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np
import sklearn
from party import Stopwatch, joined, mean_auc, meet, options
from sklearn.linear_model import LogisticRegression


def main():
    start = options()
    case, role = start.case, start.role
    rows = joined(case)
    meet(role, start.port, start.hosts)
    watch = Stopwatch()
    figure = None
    if role == "receiver":
        x, label, fold = rows["x"], rows["label"], rows["fold"]
        scores = np.zeros(len(label))
        for each in range(case["folds"]):
            kept = fold != each
            model = LogisticRegression(C=1.0, max_iter=1000, tol=1e-8).fit(x[kept], label[kept])
            scores[~kept] = model.decision_function(x[~kept])
        figure = mean_auc(label, scores, fold)
    watch.report(sklearn.__version__, len(rows["label"]), 0, auc=figure, scored_folds=case["folds"])


main()
