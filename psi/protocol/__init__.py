"""What every protocol role speaks: envelope, codec, errors, role."""
