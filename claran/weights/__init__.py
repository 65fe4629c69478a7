"""The trained models that come with claran; see README.md in this folder."""
