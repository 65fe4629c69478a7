"""What each mode of the command line does, with the flags it has of its own."""
