#!/usr/bin/env bash
# Who did what: one flag's entries of the audit log, and all of them as text.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

flag="$environment/flags/$BURGEE_FLAG"
id="audited-$RANDOM$RANDOM"
admin FlagService/SetFlagEnabled \
    "{\"name\": \"$flag\", \"enabled\": true, \"reason\": \"for the log\", \"request_id\": \"$id\"}" >/dev/null
admin FlagService/SetFlagEnabled "{\"name\": \"$flag\", \"reason\": \"for the log\", \"request_id\": \"$id-off\"}" >/dev/null
admin AuditService/ListAuditEntries "{\"filter\": {\"request_id\": \"$id-off\"}}" |
    expect "\"resource\": \"$flag\""
admin AuditService/ExportAuditEntries \
    "{\"filter\": {\"resource\": \"$flag\"}, \"format\": \"AUDIT_FORMAT_CSV\"}" | expect '"text"'
