"""Firmware and software of devices: packages, how devices get them, and how far each of them is."""
