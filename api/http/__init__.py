"""HTTP beneath the routes: problem documents, limits, uploads, downloads, access log."""
