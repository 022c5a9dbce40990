"""Object models: what an Object and its Resources are (LwM2M Core 1.2, 7.1)."""
