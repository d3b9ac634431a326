#!/usr/bin/env bash
# Runs a command with DATABASE_URL set to a database that has all migrations, on a
# Postgres that ends with the command. The server's own private Postgres will not do:
# this is for building the server.
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
# shellcheck source=scripts/postgres.sh
source "$ROOT/scripts/postgres.sh"

bin="$(find_postgres)" || { echo "no Postgres: run make setup" >&2; exit 1; }

# Short enough for a socket, and open to nobody else.
place="$(mktemp -d /tmp/burgee-build-XXXXXX)"
finish() {
  # At once: nothing in it is worth a shutdown in order.
  [ -z "${postgres:-}" ] || { kill -QUIT "$postgres" && wait "$postgres"; } 2>/dev/null || true
  rm -rf "$place"
}
trap finish EXIT
[ -z "$POSTGRES_ACCOUNT" ] || chown "$POSTGRES_ACCOUNT" "$place"

log="$place/log"
cd /
"${AS_POSTGRES[@]}" "$bin/initdb" --no-sync --auth=trust --encoding=UTF8 --locale=C \
  --username=burgee --pgdata "$place/data" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
# If this shell is killed, the kernel ends it.
"${AS_POSTGRES[@]}" setpriv --pdeathsig QUIT -- "$bin/postgres" -D "$place/data" -c listen_addresses= \
  -c unix_socket_directories="$place" -c port=5432 -c fsync=off >>"$log" 2>&1 &
postgres=$!
cd "$ROOT"

psql=("$bin/psql" --quiet --no-psqlrc --set=ON_ERROR_STOP=1
  --host="$place" --port=5432 --username=burgee --dbname=postgres)
deadline=$((SECONDS + 30))
until "${psql[@]}" --command='select' >>"$log" 2>&1; do
  if [ "$SECONDS" -ge "$deadline" ] || ! kill -0 "$postgres" 2>/dev/null; then
    cat "$log" >&2
    exit 1
  fi
  sleep 0.05
done
for migration in migrations/*.sql; do
  "${psql[@]}" --single-transaction --file="$migration"
done

DATABASE_URL="postgres://burgee@localhost:5432/postgres?host=$place&sslmode=disable" "$@"
