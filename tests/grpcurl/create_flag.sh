#!/usr/bin/env bash
# Makes a flag, twice with one request id: the second call gives the first
# answer. Then archives it and deletes it.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

key="from-a-script-$RANDOM$RANDOM"
create="{\"parent\": \"$project\", \"request_id\": \"$key\", \"reason\": \"trying out\",
    \"flag\": {\"key\": \"$key\", \"type\": \"FLAG_TYPE_STRING\", \"variants\": [
        {\"key\": \"blue\", \"value\": \"#00f\"}, {\"key\": \"red\", \"value\": \"#f00\"}]}}"

first=$(admin FlagService/CreateFlag "$create")
again=$(admin FlagService/CreateFlag "$create")
printf '%s\n' "$first" | expect "\"name\": \"$project/flags/$key\""
[[ "${first//[[:space:]]/}" == "${again//[[:space:]]/}" ]]

archived=$(admin FlagService/ArchiveFlag "{\"name\": \"$project/flags/$key\"}")
printf '%s\n' "$archived" | expect '"archiveTime"'
etag=$(printf '%s' "$archived" | sed -n 's/.*"etag": *"\([^"]*\)".*/\1/p')
admin FlagService/DeleteFlag "{\"name\": \"$project/flags/$key\", \"etag\": \"$etag\"}" |
    expect "\"key\": \"$key\""
