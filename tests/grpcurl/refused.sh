#!/usr/bin/env bash
# What refusals look like: the code, the reason, and the field.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# refused METHOD JSON: the refusal, as text; fails if the call succeeds.
refused() {
    local answer
    if answer=$(admin "$@" 2>&1); then
        printf 'was not refused:\n%s\n' "$answer" >&2
        return 1
    fi
    printf '%s\n' "$answer"
}

refused FlagService/GetFlag "{\"name\": \"$project/flags/no-such-flag\"}" |
    expect 'Code: NotFound' | expect 'RESOURCE_NOT_FOUND'
refused FlagService/CreateFlag "{\"parent\": \"$project\", \"flag\": {\"key\": \"two words\"}}" |
    expect 'Code: InvalidArgument' | expect 'flag.key'
BURGEE_TOKEN=burgee_svc_nobody refused FlagService/GetFlag '{}' |
    expect 'Code: Unauthenticated'
