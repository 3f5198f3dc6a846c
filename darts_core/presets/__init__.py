"""Named, versioned sets of hyper-parameters, one module a family."""
