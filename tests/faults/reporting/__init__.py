"""The page that a person reads after a campaign: operations, faults, violations, and what recovery felt like."""
