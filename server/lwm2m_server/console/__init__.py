"""The web console: pages for people. It is a client of the server's own HTTP API and knows nothing else."""
