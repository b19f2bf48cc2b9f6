"""The suite `attack`: what each party recovers from the product as it is, over real data.

One file an attack, each a function of a `Scale` that yields `Finding`s; `registry.ATTACKS` names
them. An attack runs the product's own roles, policy and guards. Where a party leaves the protocol
its rows say what it does ("lies: …"); where the product refuses, the row says why.
"""
