"""Nodes of a job that talk to each other without the hub, where firewalls and policies allow it."""
