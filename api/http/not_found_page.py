"""The page for a browser at an address without a route."""

from __future__ import annotations

from typing import Final

NOT_FOUND: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">
<title>Page not found · Dartboard</title>
<style>html { background: Canvas }</style>
</head>
<body>
<main>
<h1>Page not found</h1>
<p>Dartboard has no page at this address: it may be mistyped or cut off.</p>
<p><a href="/">Open the dashboard</a> or <a href="/docs">read about the API</a>.</p>
</main>
</body>
</html>
"""
