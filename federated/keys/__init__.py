"""Parties' own keys, the files they lie in, and the public keys of others."""
