"""One job between parties: sealed frames in order, journal, going on after a kill."""
