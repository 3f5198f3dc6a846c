"""Search methods: how alphas become operation weights, and what a search does around its steps."""
