#!/usr/bin/env bash
# Makes an SDK key, evaluates with it, and revokes it.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

made=$(admin ApiKeyService/CreateApiKey "{\"api_key\": {\"display_name\": \"from a script\",
    \"kind\": \"ACCESS_KEY_KIND_SERVER\", \"environments\": [\"$environment\"]}}")
name=$(printf '%s' "$made" | sed -n 's/.*"name": *"\(apiKeys[^"]*\)".*/\1/p')
secret=$(printf '%s' "$made" | sed -n 's/.*"secret": *"\([^"]*\)".*/\1/p')

BURGEE_SDK_KEY=$secret sdk evaluation.v1.EvaluationService/Evaluate \
    "{\"flag_key\": \"$BURGEE_FLAG\", \"context\": {\"targeting_key\": \"alice\"}}" |
    expect "\"flagKey\": \"$BURGEE_FLAG\""
admin ApiKeyService/RevokeApiKey "{\"name\": \"$name\"}" | expect '"revokeTime"'
