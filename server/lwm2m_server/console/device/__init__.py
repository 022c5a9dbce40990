"""One device: its pages, a module for each tab and what they have in common."""
