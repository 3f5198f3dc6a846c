#!/bin/sh
# broker-certificate.sh FOLDER: a certificate of the broker for DARTBOARD_HOST, signed by itself, unless there is one.
set -eu
cd "$1"
[ -s broker.crt ] && [ "$(cat broker.host 2>/dev/null)" = "$DARTBOARD_HOST" ] && exit 0
case $DARTBOARD_HOST in
    *[!0-9.]*) name=DNS:$DARTBOARD_HOST ;;
    *) name=IP:$DARTBOARD_HOST ;;
esac
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=$DARTBOARD_HOST" \
    -addext "subjectAltName=$name" -addext "keyUsage=critical,digitalSignature,keyCertSign" \
    -keyout /tmp/broker.key -out /tmp/broker.crt 2>/tmp/openssl.log || { cat /tmp/openssl.log >&2; exit 1; }
chmod 0444 /tmp/broker.key /tmp/broker.crt
mv /tmp/broker.key /tmp/broker.crt .
printf %s "$DARTBOARD_HOST" >broker.host
echo "made a certificate for $DARTBOARD_HOST"
