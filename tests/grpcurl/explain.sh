#!/usr/bin/env bash
# Why a flag is what it is for Alice: every step, as an SDK is told.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

sdk evaluation.v1.EvaluationService/Explain \
    "{\"flag_key\": \"$BURGEE_FLAG\",
      \"context\": {\"targetingKey\": \"alice\", \"attributes\": {\"plan\": \"pro\"}}}" |
    expect '"explanation"' | expect "\"flag\": {\"flagKey\": \"$BURGEE_FLAG\""
sdk evaluation.v1.EvaluationService/Explain '{"flag_key": "no-such-flag"}' |
    expect '"problem": "there is no such flag here"'
