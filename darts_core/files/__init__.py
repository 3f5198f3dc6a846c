"""Files of networks: checkpoints, imports, exports, and how they are read back."""
