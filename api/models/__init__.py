"""Names checkpoints as versions of models, and keeps these from deletion."""
