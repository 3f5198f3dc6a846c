"""Exports the epochs of jobs to experiment trackers: TensorBoard, MLflow and Weights & Biases."""
