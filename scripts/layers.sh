#!/usr/bin/env bash
# Who may depend on whom, where deny.toml cannot tell: a graph of the whole workspace
# has everybody's features, and shows who asks for a crate, not who ends up with it.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."

# keeps_out <package> <pattern> <reason>
keeps_out() {
  local tree found
  tree="$(cargo tree --locked --quiet --package "$1" --edges normal --prefix none)"
  found="$(grep --extended-regexp --only-matching "^($2) v.*" <<<"$tree" | sort -u)" || return 0
  printf '%s must not depend on these: %s\n%s\n' "$1" "$3" "$found" >&2
  return 1
}

keeps_out burgee-evaluator 'tokio.*|tonic.*|hyper.*|axum.*|rand.*|getrandom|sqlx.*|time' \
  'it is pure: no network, no clock, no randomness'
keeps_out burgee-hub 'sqlx.*' 'what it serves comes from its Source'
keeps_out burgee-relay 'sqlx.*' 'it has no database'
keeps_out burgee 'sqlx.*'
