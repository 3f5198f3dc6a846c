"""Kernels for CPUs, compiled on the machine that they run on; without a compiler everything works without them."""
