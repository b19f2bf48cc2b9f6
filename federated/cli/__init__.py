"""Commands of hub and node: Typer apps, one group a file, mounted by `profiles.cli`."""
