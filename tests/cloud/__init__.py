"""A stand-in for AWS on this machine: see README.md."""
