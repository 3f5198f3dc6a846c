"""Named, versioned sets of hyper-parameters, one module per family."""
