"""A party as it runs: its home, its part in a job, purge and rotation."""
