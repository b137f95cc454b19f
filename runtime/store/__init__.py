"""The store: journal and sample bank in one database."""
