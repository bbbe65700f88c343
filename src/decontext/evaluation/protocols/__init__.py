"""Published ways of evaluating, as plans: whose people, which versions, which instructions."""
