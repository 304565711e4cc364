#!/bin/sh
# As the official image does it: the first start makes the data with a server that nobody reaches but through its
# socket, and ends that one again before the real server starts.
set -eu
if [ "$(id -u)" = 0 ]; then
  mkdir -p "$PGDATA"
  chown -R postgres "$PGDATA"
  exec setpriv --reuid=postgres --regid=postgres --clear-groups -- "$0" "$@"
fi
if [ ! -s "$PGDATA/PG_VERSION" ]; then
  printf %s "$POSTGRES_PASSWORD" >/tmp/password
  initdb --username="$POSTGRES_USER" --pwfile=/tmp/password --pgdata="$PGDATA" --encoding=UTF8
  rm /tmp/password
  echo 'host all all all scram-sha-256' >>"$PGDATA/pg_hba.conf"
  pg_ctl --pgdata="$PGDATA" --wait --options="-c listen_addresses='' -k $PGHOST" start
  createdb --username="$POSTGRES_USER" --no-password "$POSTGRES_DB"
  # Longer than a real one takes, so that a health check that is content with this server shows itself.
  sleep 3
  pg_ctl --pgdata="$PGDATA" --mode=fast --wait stop
fi
exec "$@" -c listen_addresses='*' -k "$PGHOST"
