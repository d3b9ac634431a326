#!/usr/bin/env bash
# Divides the contexts of a rollout anew, after asking how many would move.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

name="$environment/flags/$BURGEE_FLAG"

admin FlagService/RerandomizeRollout "{\"name\": \"$name\", \"validate_only\": true}" |
    expect 'of the contexts that this split divides get another variant' |
    expect '"movedWeight"'
admin FlagService/RerandomizeRollout "{\"name\": \"$name\", \"reason\": \"trying out\"}" |
    expect '"movedWeight"' | expect '"revision"'
