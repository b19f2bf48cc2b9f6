"""A party's signed account of what it did, and how accounts are compared."""
