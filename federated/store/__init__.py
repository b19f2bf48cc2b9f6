"""What lies on disk: atomic writes, canonical records, sealed files, spools."""
