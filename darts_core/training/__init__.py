"""The loops: one report an epoch, stoppable between steps, resumable to the bit."""
