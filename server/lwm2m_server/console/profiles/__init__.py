"""Device profiles: listed, edited as drafts, reviewed and saved."""
