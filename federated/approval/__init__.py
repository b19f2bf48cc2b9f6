"""Who says yes: calls, the policy, the inbox, an officer."""
