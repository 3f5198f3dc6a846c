"""Advises on a search: which method the ledger's rows speak for, and its cost on the workers' devices."""
