# Sourced: finds Postgres, in the same order as the server does
# (server/src/private_postgres/binaries.rs).

# The oldest version that will do.
POSTGRES_OLDEST=15

# Where setup.sh puts one for those who may not install packages.
POSTGRES_TOOLS="$ROOT/.tools/postgres/bin"

# Whom root runs Postgres as, for it refuses root, and how; empty for everybody else.
POSTGRES_ACCOUNT=
AS_POSTGRES=()
if [ "$(id -u)" = 0 ]; then
  for account in nobody postgres; do
    if id -u "$account" >/dev/null 2>&1; then
      POSTGRES_ACCOUNT="$account"
    fi
  done
  AS_POSTGRES=(setpriv --reuid "$POSTGRES_ACCOUNT" --regid "$(id -g "$POSTGRES_ACCOUNT")"
    --clear-groups --)
fi

# Prints the folder of the first initdb and postgres that will do.
find_postgres() {
  local folder version
  while read -r folder; do
    [ -n "$folder" ] || continue
    "${AS_POSTGRES[@]}" test -x "$folder/initdb" -a -x "$folder/postgres" || continue
    version="$("$folder/postgres" --version 2>/dev/null)" || continue
    # Of the likes of: postgres (PostgreSQL) 15.18 (Debian 15.18-0)
    version="${version#postgres (PostgreSQL) }"
    version="${version%%[!0-9]*}"
    if [ "${version:-0}" -ge "$POSTGRES_OLDEST" ]; then
      # Not that of a link: other programs are beside the real one.
      dirname "$(readlink -f "$folder/postgres")"
      return
    fi
  done < <(postgres_candidates)
  return 1
}

postgres_candidates() {
  if [ -n "${BURGEE_PG_BIN:-}" ]; then
    echo "$BURGEE_PG_BIN"
    return
  fi
  local folder
  tr : '\n' <<<"$PATH"
  for folder in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin; do
    echo "$folder"
  done | sort --version-sort --reverse
  echo "$POSTGRES_TOOLS"
}
