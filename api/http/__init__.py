"""HTTP infrastructure beneath the routes: problem documents, limits, uploads, downloads and the access log."""
