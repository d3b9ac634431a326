#!/usr/bin/env bash
# Follows an environment's ruleset while a change travels.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

name="$environment/flags/$BURGEE_FLAG"
stream=$(mktemp)

grpcurl -plaintext -H "authorization: Bearer $BURGEE_SDK_KEY" -d '{}' \
    "$BURGEE_ADDRESS" burgee.sync.v1.SyncService/WatchRuleset >"$stream" &
watcher=$!
trap 'kill "$watcher" 2>/dev/null; rm -f "$stream"' EXIT

# wait_for TEXT: until the stream has brought it, half a minute at most.
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

wait_for '"lastChunk": *true'
admin FlagService/SetFlagEnabled "{\"name\": \"$name\", \"enabled\": true}" >/dev/null
admin FlagService/SetFlagEnabled "{\"name\": \"$name\", \"enabled\": false}" >/dev/null
wait_for '"delta"'
cat "$stream"
