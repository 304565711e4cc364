#!/usr/bin/env bash
# A certificate for localhost that signs itself, for the front ends (STLS) and for HAProxy (key and certificate in one).
set -euo pipefail
cd "$(dirname "$0")"
mkdir -p certs/both
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=localhost \
  -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout certs/localhost.key -out certs/localhost.crt
cat certs/localhost.crt certs/localhost.key >certs/both/localhost.pem
chmod 644 certs/*.* certs/both/*
