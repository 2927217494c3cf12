"""Rows as observed: reading, cleaning, ledger, quarantine, profile and verdict."""
