"""The composition root: ``core`` opens the stores and joins devices to them, ``features`` are built on that,
``api`` shows them over HTTP."""
