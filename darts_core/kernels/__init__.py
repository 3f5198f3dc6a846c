"""Provides optional kernels for CPUs and GPUs, compiled on the machine that runs them."""
