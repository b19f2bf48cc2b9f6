"""`python -m fedprofile` is the command `fedprofile`."""

from __future__ import annotations

from profiles.cli import main

if __name__ == "__main__":
    main()
