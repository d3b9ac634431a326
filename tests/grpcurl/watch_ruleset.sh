#!/usr/bin/env bash
# Follows an environment's ruleset while a change travels.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

name="$environment/flags/$BURGEE_FLAG"

follow sync.v1.SyncService/WatchRuleset '{}'
wait_for '"lastChunk": *true'
admin FlagService/SetFlagEnabled "{\"name\": \"$name\", \"enabled\": true}" >/dev/null
admin FlagService/SetFlagEnabled "{\"name\": \"$name\", \"enabled\": false}" >/dev/null
wait_for '"delta"'
cat "$stream"
