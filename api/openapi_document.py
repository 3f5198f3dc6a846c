"""Prints the OpenAPI document of the service: `python -m api.openapi_document`."""

from __future__ import annotations

import json

from api.app import create_app

if __name__ == "__main__":
    print(json.dumps(create_app().openapi()))
