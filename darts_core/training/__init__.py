"""Trains networks: searches and retraining, resumable bit for bit."""
