#!/usr/bin/env bash
# What flags are for Alice, asked with one's own token, and why one of them is.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

alice='"context": {"targetingKey": "alice", "attributes": {"plan": "pro"}}'

admin FlagService/EvaluateFlags "{\"environment\": \"$environment\", \"page_size\": 2, $alice}" |
    expect '"evaluations"' | expect '"position"' | expect '"nextPageToken"'
admin FlagService/EvaluateFlags \
    "{\"environment\": \"$environment\", \"flag_keys\": [\"no-such-flag\"], $alice}" |
    expect '"errorCode": "ERROR_CODE_FLAG_NOT_FOUND"'
admin FlagService/ExplainFlag "{\"name\": \"$environment/flags/$BURGEE_FLAG\", $alice}" |
    expect '"explanation"' | expect "\"flagKey\": \"$BURGEE_FLAG\"" | expect '"position"'
