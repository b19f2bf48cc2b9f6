"""A contract's steps at one party: roles built from tables, and driven."""
