"""What devices told: kept, found again by key name, and shown as JSON."""
