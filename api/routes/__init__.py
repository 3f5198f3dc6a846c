"""HTTP: what comes in, what goes out, what can go wrong. The work is one call away."""
