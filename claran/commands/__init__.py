"""The modes of the command line, with their flags."""
