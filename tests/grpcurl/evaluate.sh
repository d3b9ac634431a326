#!/usr/bin/env bash
# What a flag is for Alice, and why.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

sdk evaluation.v1.EvaluationService/Evaluate \
    "{\"flag_key\": \"$BURGEE_FLAG\",
      \"context\": {\"targetingKey\": \"alice\", \"attributes\": {\"plan\": \"pro\"}}}" |
    expect '"reason"' | expect '"position"'
sdk evaluation.v1.EvaluationService/Evaluate '{"flag_key": "no-such-flag"}' |
    expect '"errorCode": "ERROR_CODE_FLAG_NOT_FOUND"'
