"""What an instance is here: a network, a root and processes of its own, and the metadata service beside them."""
