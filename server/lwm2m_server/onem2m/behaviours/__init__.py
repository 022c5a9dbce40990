"""What clients' writes mean: the one door through which wishes enter."""
