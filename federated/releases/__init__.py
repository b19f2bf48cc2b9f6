"""What was told of a party's columns over jobs, and what may still be told."""
