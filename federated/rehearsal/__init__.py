"""A rehearsal: one party's side of a job on its own tables, against parties that are invented.

The real session, roles and messages of every party run in one process, over the memory router.
Real are this party's table, its policy, its parts of models and all that is worked out from them.
Invented are the other parties: their keys, their rows, their parts of models, and so every number
that comes of them. Nothing leaves the process, and nothing is kept: keys are thrown away, and what
a session writes lies in a private folder that is removed.

    excerpt         this party's tables, cut to so many rows
    invented        tables for the other parties, some of their keys copied from this party's rows
    invented_parts  their parts of the models that rows are scored by
    contents        what each message holds, in a sentence
    run             the rehearsal itself, and what it found
    view            the same as lines for an officer
"""

from federated.rehearsal.run import ROWS, Exchange, Rehearsal, rehearse
from federated.rehearsal.view import in_lines, plain_data

__all__ = ["ROWS", "Exchange", "Rehearsal", "in_lines", "plain_data", "rehearse"]
