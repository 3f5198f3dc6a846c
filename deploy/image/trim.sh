#!/bin/sh
# trim.sh SITE_PACKAGES: remove what the API never reads. Of plotly it serves the script alone, of fastapi-offline
# Swagger UI.
set -eu
cd "$1"
find plotly -mindepth 1 -maxdepth 1 ! -name package_data ! -name __init__.py -exec rm -r {} +
find plotly/package_data -mindepth 1 -maxdepth 1 ! -name plotly.min.js -exec rm -r {} +
rm fastapi_offline/static/redoc.standalone.js
find . -type d -name tests -prune -exec rm -r {} +
rm -r narwhals numpy/f2py numpy/distutils sqlalchemy/testing
# What only building and testing extensions needs, other databases, and Pillow's fonts and AVIF, which no data set has.
rm -r cffi pycparser numpy/_core/include numpy/_core/_simd.* numpy/_core/_multiarray_tests.* numpy/testing
[ -d optuna ] || rm -r numpy/polynomial
rm -r sqlalchemy/dialects/mssql sqlalchemy/dialects/mysql sqlalchemy/dialects/oracle
rm PIL/_avif.* PIL/_imagingft.* pillow.libs/libavif-* pillow.libs/libfreetype-* pillow.libs/libharfbuzz-*
# Of authlib only the client of httpx is used.
rm -r authlib/jose authlib/integrations/django_* authlib/integrations/flask_* \
    authlib/integrations/requests_client authlib/integrations/sqla_oauth2 authlib/integrations/starlette_client
find . -name '*.py[xd]' -delete
# The image has Debian's time zones, which Python prefers.
rm -r tzdata/zoneinfo
# Celery's shell; colours for languages other than a traceback's.
rm -r click_repl prompt_toolkit wcwidth
find pygments/lexers -type f ! -name '__init__.*' ! -name '_mapping.*' ! -name 'python.*' -delete
find . -name '*.pyi' -delete
find . -name '*.so' -exec strip --strip-debug {} +
