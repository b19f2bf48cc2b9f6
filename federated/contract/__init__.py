"""What one job may do: its terms, their check, disclosures, words, negotiation."""
