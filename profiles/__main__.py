"""`python -m profiles` is `fedprofile`."""

from profiles.cli import main

main()
