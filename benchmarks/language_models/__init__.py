"""Compares recurrent cells with an LSTM of equal size, all tuned over one grid and trained from several seeds."""
