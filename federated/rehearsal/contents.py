"""What each message of a job holds, in a sentence for an officer.

By kind of step, then by the message's class, for names repeat between protocols. A test walks all
roles and fails where a message has no sentence.
"""

from __future__ import annotations

__all__ = ["MESSAGES", "holds"]

_SHARED = {
    "Span": "how far all parties' parts of the score reach together, to a power of √2",
    "PadSeed": "what seeds the numbers that one of several partners adds to its part of the score",
    "Padded": (
        "a partner's part of each record's score under these numbers, to the last partner, which "
        "cannot take them off; how wide it lies, to a power of √2"
    ),
}
"""Of several partners: a score becomes two shares."""
_TREES = {
    "Offer": (
        "a random point; how many rows there are, and the sizes of the trees, "
        "so how many bins each column has at most"
    ),
    "Points": "random points, and how many numbers a row will follow",
    "Seeds": "random sums that let the other side make all of its seeds but hidden ones",
    "Asked": "random choices under pads, with a check of them; no bin",
    "Corrected": "random corrections that complete the trees of seeds",
    "Challenged": "a random number that decides how the trees are checked",
    "Zeroed": "zeros under pads, and sums of pads: the check of the trees",
    "Turned": "each row's bin under a pad that only the sender can take away",
}
"""Of private sums, whatever is added up."""

MESSAGES: dict[str, dict[str, str]] = {
    "contract": {
        "Draft": "what is asked: parties, tables' names, columns, steps, limits, keys",
        "Facts": (
            "about the table: its number of rows and of usable columns, a keyed hash of it, "
            "which protocols are accepted; no row"
        ),
        "Final": "the whole contract, signed by its proposer",
        "Signed": "a signature over the contract",
        "Complete": "all parties' signatures",
    },
    "finish": {
        "Ended": "that all steps are done here",
    },
    # set intersection
    "align": {
        "Blinded": (
            "a point for each of the receiver's records, blinded by a secret that is used "
            "once: it looks random, and nobody else can tell or test which record it is"
        ),
        "Reply": (
            "the receiver's points under the sender's secret key and, unless kept tags "
            "serve, a tag of 16 bytes for each of the sender's own keys, shuffled: it can "
            "be recognised only by who has the same key and asked about it (with several "
            "levels of keys, so can the record's number that is sealed under it)"
        ),
        "More": "that the next part may come",
        "Report": "which of the sender's tags matched, by their shuffled places",
        "Holding": "which set of kept tags the receiver has, by a random name",
        "Delivered": (
            "the sender's tags to keep: 16 bytes for each of its records, shuffled, under a "
            "key made for this receiver"
        ),
        "Order": "the shared records in the receiver's order, as numbers of matches",
        "Multiplicities": "how many rows the sender has for each shared record",
        "Chosen": "the shared records in the receiver's order, as numbers of keys",
        "Opening": "how many records the receiver brings; random values to begin with",
        "Answer": "how many records the sender brings; random values to begin with",
        "Extension": "random values, masked",
        "Trees": "random values, masked",
        "Rows": "a proof that the receiver's random values hide what they should",
        "Challenge": "a random number with which the sender's trees are checked",
        "Proof": "a hash by which the receiver checks that the sender's trees are in order",
        "Evidence": "a sum by which the sender checks that the receiver holds what it reports",
        "Encoded": (
            "the receiver's records, encoded and masked by random values: it looks random "
            "to the sender"
        ),
        "Tags": (
            "a tag for each of the sender's records, in ascending order: it can be "
            "recognised only by who has the same record"
        ),
    },
    "select": {
        "Selection": "which of the shared records all parties have, by their numbers",
    },
    "known": {
        "Known": (
            "at which row of earlier jobs on the same columns each shared record stood, without "
            "names; of records that are not shared any more as well"
        ),
    },
    # statistics by segment: the partner's values, encrypted by the partner
    "rows": {
        "Key": "the partner's public key; how many rows it will send",
        "Rows": (
            "the partner's values of the shared records, encrypted under its own key, once for all "
            "sections: the receiver can add them up, not read them"
        ),
        "Next": "that the next rows may come",
    },
    "aggregate": {
        "Returned": "encrypted sums and counts by segment, masked by random numbers",
        "Counted": (
            "encrypted counts and masked sums by segment; where an earlier section or job has told "
            "of the same columns, by the combinations of both segments, so that the partner can "
            "audit them"
        ),
        "Kept": "which segments and columns are large enough to be opened",
        "Opened": (
            "the same sums, decrypted and still masked: the receiver alone can take the "
            "masks off; what is too small is blank"
        ),
        # by private sums
        "Committed": (
            "how many segments there are, which combinations with those of earlier sections or "
            "jobs occur, and a hash of padded counts, to which the receiver is held"
        ),
        "Bound": "a random number and pads, by which both sides check the numbers of rows",
        "Showed": (
            "the receiver's part of counts by segment: with its own part the partner knows how "
            "many records, and how many values, each segment has"
        ),
        "Given": (
            "which segments and columns are large enough to be told; the partner's part of their "
            "sums, which only the receiver can complete; how many values they have"
        ),
    },
    "lanes": {
        "LaneKinds": (
            "of each column one bit: whether some of its values do not count in the partner's audit"
        ),
    },
    # the receiver's amounts by a category of the partner's
    "category": {
        "Key": "the receiver's public key; how many rows and segments it has",
        "Rows": "the receiver's amounts of the shared records, encrypted under its own key",
        "Next": "that the next rows may come",
        "Returned": "encrypted sums by category, noised where the contract says so",
        "Kept": "which categories are large enough to be told",
        # by private sums
        "CategoryShares": (
            "which categories are told, and the partner's part of their sums, noised where the "
            "contract says so: the receiver alone can complete them"
        ),
    },
    "parts": {
        "Parts": "how many segments the receiver has",
    },
    # a sum over an intersection that nobody learns
    "join_sum": {
        "Key": "the partner's public key; how many values of how many columns it will send",
        "Rows": "the partner's values in a secret order, encrypted under its own key",
        "Next": "that the next values may come",
        "Summed": "the encrypted sum over the shared records, masked by a random number",
        "Opened": (
            "how many values each sum has, and the sums, still masked; what has too few "
            "values is blank"
        ),
        # by private sums
        "Place": "how many records the partner has",
        "SumCommitted": "a hash of padded counts, to which the receiver is held",
        "Bound": "a random number and a pad, by which both sides check the number of records",
        "Showed": (
            "the receiver's part of counts: with its own part the partner knows how many records "
            "are shared, and how many of these have a value"
        ),
        "SumShares": (
            "how many values each column has, and the partner's part of the sums, noised where the "
            "contract says so: the receiver alone can complete them"
        ),
    },
    # a label's counts by the partner's bins
    "binning": {
        "LabelShares": (
            "the receiver's part of the counts of its label, noised where the contract says so: "
            "with its own part the partner knows how many records of each bin are positive"
        ),
        "Worths": (
            "of each column its information value, rounded, how many bins it comes to, and how far "
            "records have moved between them since the last job"
        ),
    },
    # rows scored by a model that was kept
    "score": {
        **_TREES,
        "Joint": "half of what seeds the numbers that two partners add and take away; step widths",
        "Levels": (
            "of each record the step that the partner's part of the score lies in; of several "
            "partners under pads that cancel only in the sum of all"
        ),
        "Asking": (
            "which training's trees, how many records, how many of the partner's splits stand on "
            "each level; a random point"
        ),
        "Choices": (
            "of each record which node of a tree it lies in, under pads: the partner cannot read it"
        ),
        "RowBits": (
            "of each record its side by every split of the partner's on a level, masked: the "
            "receiver can take off the mask of one, that of the record's own node: one bit"
        ),
        "ScoringBegin": "which training's trees, how many records; a random point",
        "RowChoices": (
            "random choices under pads, by the leaves that own splits allow, then by a random "
            "share of each score"
        ),
        "LeafValues": (
            "random shares of what leaves add to scores, under pads, of which the partner opens "
            "those of its sides"
        ),
        "ScoreCircuit": "gates that add each record's shares of its score up, of random labels",
        "ScoresTold": (
            "of each record's score as many bits as the terms say, as colours of labels: what a "
            "colour means the receiver alone knows"
        ),
    },
    "places": {
        "Place": "how many records the partner has",
    },
    # vertical training, then horizontal
    "train": {
        "Setup": (
            "which shared records have a label, and their validation fold; how many columns of its "
            "own the receiver has, and about how many values each, to the last partner"
        ),
        "Ready": "how many columns the partner has, and about how many values each has",
        **_TREES,
        "Start": (
            "of the receiver's own model the mean score and the mean curvature, with noise where "
            "sums have any"
        ),
        "Grids": "the range of the partner's part of the score, to a quarter",
        "Tables": "tables of numbers that follow from the ranges of the partners' scores",
        "Answers": "numbers of each row under pads, of which the other side gets a share of errors",
        "Handed": "a random share of each row's present error, from one partner to another",
        "Lanes": (
            "each row's present error, or a random share of it, under pads, of which sums are got"
        ),
        "Sums": "a random share of the other side's sums over all rows, with noise on it",
        "Products": (
            "inner products of the partner's sums and steps, 16 bits each, with noise of its own "
            "where sums have any; to the partner those of all parties added up"
        ),
        "Limits": "how far of several partners one takes its step, and how far all do",
        "Pad": "half of what seeds the numbers that two partners add and take away in final scores",
        "Learned": (
            "the mean of the final score parts and, unless rows are only counted by it, that of "
            "each record, with noise; of several partners under pads that cancel only in the total "
            "of all"
        ),
        # boosted trees
        "Begin": "how many records there are; a random point; a hash of the terms",
        "Choices": (
            "of each record which node of a tree it lies in, under pads: the partner cannot read it"
        ),
        "RowBits": (
            "of each record its side by every split that the partner has just won, masked: the "
            "receiver can take off the mask of one, that of the record's own node: one bit"
        ),
        "Grown": "how many trees there are",
        "SplitAsk": "random choices under pads, by shares of sums: nothing can be read off them",
        "SplitAnswer": "shares of products of sums, masked",
        "SplitTables": "a table of masked numbers, of which the partner can open one a split",
        "SplitPicks": "random choices under pads, by shares of scores",
        "SplitCircuit": (
            "an encrypted comparison: the partner learns in which nodes one of its splits wins, "
            "and which"
        ),
        "SplitWon": (
            "in which nodes a split of the partner's wins, with a proof of it, and whether its "
            "column has a way"
        ),
        # boosted trees that tell no side
        "HiddenBegin": (
            "how many records there are; how many bins each of the receiver's columns has, and "
            "whether they are in order; a random point; a hash of the terms"
        ),
        "RowChoices": "random choices under pads, by shares of scores or sides of own splits",
        "RowTables": "tables of masked numbers, of which the partner can open one a record",
        "NodeSums": (
            "a random share of each node's sums over its records, with the partner's noise, "
            "without low bits"
        ),
        "HiddenCircuit": (
            "an encrypted comparison: the partner learns in which nodes one of its splits wins, "
            "and which"
        ),
        "HiddenWon": (
            "in which nodes a split of the partner's wins, of the others the number of the "
            "receiver's own; random choices under pads, by the sides of the partner's splits"
        ),
        "Moved": (
            "shares of the records' errors under pads, of which the partner opens those of its "
            "sides"
        ),
        "MovedBack": "the same the other way",
        "LeafValues": (
            "random shares of what leaves add to scores, under pads, of which the partner opens "
            "those of its sides"
        ),
        "ScoreCircuit": "gates that add each record's shares of its score up, of random labels",
        "ScoresTold": (
            "of each record's score as many bits as the terms say, as colours of labels: what a "
            "colour means the receiver alone knows"
        ),
        "Ask": "the round's question: the present model, and how columns are standardised",
        "Masked": (
            "sums over one party's own rows (positives, values, products, gradients, scores by "
            "label), with its own noise, under masks that cancel only in the total of all parties"
        ),
        "Fitted": "the model, its quality, how many rows all parties have together",
    },
    # private sums, of which statistics by segment are made
    # rows counted by score, where no row's is told
    "counted": {
        **_TREES,
        "Values": (
            "of each record the point that the partner's part of the score is nearest to, or of a "
            "model of numbers that part, under pads: the other side gets counts, or sums, of them, "
            "also padded"
        ),
        "Spread": "how far apart points of the partner's part of the score are, to a power of √2",
        "Stride": "how far those of the receiver's part are apart, and how many they are",
        **_SHARED,
        "CountShares": (
            "the partner's part of counts of records by score, class and fold, or of sums over "
            "records, with noise: the receiver alone can complete them"
        ),
    },
    # who is on a list, where no row's score is told
    "listed": {
        **_TREES,
        "Values": (
            "of each record the point that the partner's part of the score is nearest to, under "
            "pads: the other side gets counts of them, also padded"
        ),
        "CountShares": (
            "the partner's part of counts of records by score, with noise: the receiver alone can "
            "complete them, and finds the list's threshold by them"
        ),
        "Spread": "how far apart points of the partner's part of the score are, to a power of √2",
        "Stride": "how far those of the receiver's part are apart, and how many they are",
        **_SHARED,
        "Questions": (
            "of each record which of 128 questions (of several partners 512) the receiver asks, "
            "under pads: one asks nothing, the others whether the partner's part of the score "
            "reaches an edge"
        ),
        "WideScores": (
            "of each record yes or no to all 512 questions, with a random share of the score "
            "behind each yes, each under a pad: the receiver can open the one that it asked"
        ),
        "WideAnswers": (
            "of each record yes or no to all 512 questions, each under a pad: the receiver can "
            "open the one that it asked, one bit"
        ),
        "ScoredAnswers": (
            "of each record yes or no to all 128 questions, with the score behind each yes, each "
            "under a pad: the receiver can open the one that it asked"
        ),
        "Answered": (
            "of each record yes or no to all 128 questions, each under a pad: the receiver can "
            "open the one that it asked, one bit"
        ),
    },
    "sums": {
        **_TREES,
        "Values": "numbers of each row under pads, of which the other side gets sums, also padded",
    },
}


def holds(step: str, message: str) -> str:
    """What a message of a step ("align/bureau/0") holds; one without a sentence is named."""
    kind = step.split("/", maxsplit=1)[0]
    return MESSAGES.get(kind, {}).get(message, f"a message of the kind {message}")
