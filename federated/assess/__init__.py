"""The impact assessment of a contract: what an officer must file, from the contract itself."""
