# What the scripts beside it share. Sourced.
set -euo pipefail

: "${BURGEE_ADDRESS:=127.0.0.1:4000}"
: "${BURGEE_TOKEN:?the admin token (burgee_svc_…) of make dev: read .burgee/env}"
: "${BURGEE_SDK_KEY:?the server key (burgee_srv_…) of make dev: read .burgee/env}"
: "${BURGEE_PROJECT:=demo}"
: "${BURGEE_ENVIRONMENT:=development}"
: "${BURGEE_FLAG:=new-checkout}"

project="projects/$BURGEE_PROJECT"
environment="$project/environments/$BURGEE_ENVIRONMENT"

# admin METHOD JSON: as whoever holds the token.
admin() {
    grpcurl -plaintext -H "authorization: Bearer $BURGEE_TOKEN" -d "$2" \
        "$BURGEE_ADDRESS" "burgee.admin.v1.$1"
}

# sdk METHOD JSON: as an SDK.
sdk() {
    grpcurl -plaintext -H "authorization: Bearer $BURGEE_SDK_KEY" -d "$2" \
        "$BURGEE_ADDRESS" "burgee.$1"
}

# expect TEXT: passes standard input on, and fails if TEXT is not in it.
expect() {
    local input
    input=$(cat)
    printf '%s\n' "$input"
    # protojson varies the blanks between names and values on purpose.
    if [[ "${input//[[:space:]]/}" != *"${1//[[:space:]]/}"* ]]; then
        printf 'expected: %s\n' "$1" >&2
        return 1
    fi
}

# follow METHOD JSON: begins to follow a stream, as an SDK. What it brings is for
# wait_for, and shown by `cat "$stream"`.
follow() {
    stream=$(mktemp)
    grpcurl -plaintext -H "authorization: Bearer $BURGEE_SDK_KEY" -d "$2" \
        "$BURGEE_ADDRESS" "burgee.$1" >"$stream" &
    follower=$!
    trap 'kill "$follower" 2>/dev/null; rm -f "$stream"' EXIT
}

# wait_for PATTERN: until the stream has brought it, half a minute at most.
wait_for() {
    local end=$((SECONDS + 30))
    until grep -q "$1" "$stream"; do
        if ((SECONDS > end)); then
            printf 'the stream did not bring %s:\n' "$1" >&2
            cat "$stream" >&2
            return 1
        fi
        sleep 0.1
    done
}
