"""The trained models that come with claran; see README.md beside this file."""
