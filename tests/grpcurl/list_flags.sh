#!/usr/bin/env bash
# The flags of a project, with their state in an environment.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

admin FlagService/ListFlags \
    "{\"parent\": \"$project\", \"page_size\": 2, \"environments\": [\"$environment\"]}" |
    expect '"configs"' | expect '"nextPageToken"'
