#!/usr/bin/env bash
# Turns a flag on and off. Each answer names the first position that holds it.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

name="$environment/flags/$BURGEE_FLAG"

admin FlagService/SetFlagEnabled "{\"name\": \"$name\", \"enabled\": true}" |
    expect '"enabled": true' | expect '"revision"'
admin FlagService/SetFlagEnabled "{\"name\": \"$name\", \"reason\": \"enough\"}" |
    expect '"revision"'
