"""The page at `/`: static files and their server."""
