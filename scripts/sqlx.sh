#!/usr/bin/env bash
# The committed descriptions of the server's queries (.sqlx/), by which it builds
# without a database.
#
#   scripts/sqlx.sh write    makes them anew
#   scripts/sqlx.sh check    fails if they are not what the queries and migrations make
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
cd "$ROOT"

made="$(mktemp -d)"
trap 'rm -rf "$made"' EXIT

# cargo does not see that the answer of a database may have changed.
find server -name '*.rs' -exec touch {} +
env -u SQLX_OFFLINE SQLX_OFFLINE_DIR="$made" scripts/with-postgres.sh \
  cargo check --quiet --package burgee-server --all-targets

case "${1:-}" in
  write)
    rm -rf .sqlx
    mkdir .sqlx
    find "$made" -name 'query-*.json' -exec cp {} .sqlx/ \;
    ;;
  check)
    mkdir -p .sqlx
    diff --recursive --brief .sqlx "$made" || { echo ".sqlx is stale: run make sqlx" >&2; exit 1; }
    ;;
  *)
    echo "usage: scripts/sqlx.sh write|check" >&2
    exit 2
    ;;
esac
