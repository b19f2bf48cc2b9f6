"""Which persons a party's jobs were about, sealed at home; and those it has forgotten."""
