#!/usr/bin/env bash
# Follows what flags are for Alice: all results first, then those that change.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

name="$environment/flags/$BURGEE_FLAG"

admin FlagService/SetFlagEnabled "{\"name\": \"$name\", \"enabled\": false}" >/dev/null
follow evaluation.v1.EvaluationService/WatchEvaluations \
    '{"context": {"targetingKey": "alice", "attributes": {"plan": "pro"}}}'
wait_for '"lastChunk": *true'
admin FlagService/SetFlagEnabled "{\"name\": \"$name\", \"enabled\": true}" >/dev/null
wait_for '"delta"'
admin FlagService/SetFlagEnabled "{\"name\": \"$name\", \"enabled\": false}" >/dev/null
cat "$stream"
