#!/usr/bin/env bash
# Gives a pipeline an account of its own that may change one environment alone,
# uses its token, and takes it all away again.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

key="pipeline-$RANDOM$RANDOM"
account="serviceAccounts/$key"

made=$(admin ServiceAccountService/CreateServiceAccount \
    "{\"service_account\": {\"key\": \"$key\", \"display_name\": \"A pipeline\"}}")
printf '%s\n' "$made" | expect "\"name\": \"$account\""
etag=$(printf '%s' "$made" | sed -n 's/.*"etag": *"\([^"]*\)".*/\1/p')
admin MemberService/CreateRoleBinding "{\"role_binding\": {
    \"subject\": \"$account\", \"role\": \"roles/developer\", \"scope\": \"$environment\"}}" |
    expect '"role": "roles/developer"'
token=$(admin ServiceAccountService/CreateServiceAccountToken "{\"parent\": \"$account\"}" |
    sed -n 's/.*"secret": *"\([^"]*\)".*/\1/p')

# The same token signs in to everything that its account may do.
BURGEE_TOKEN=$token admin AuthService/WhoAmI '{}' | expect "\"subject\": \"$account\""
BURGEE_TOKEN=$token admin FlagService/GetFlagConfig \
    "{\"name\": \"$environment/flags/$BURGEE_FLAG\"}" | expect "$BURGEE_FLAG"
if BURGEE_TOKEN=$token admin ProjectService/CreateProject \
    '{"project": {"key": "not-allowed"}}' 2>/dev/null; then
    echo 'a developer of one environment made a project' >&2
    exit 1
fi
admin MemberService/ExplainAccess "{\"subject\": \"$account\",
    \"permission\": \"flagConfig.setEnabled\", \"resource\": \"$environment\"}" |
    expect '"allowed": true'

admin ServiceAccountService/DeleteServiceAccount "{\"name\": \"$account\", \"etag\": \"$etag\"}" |
    expect "\"key\": \"$key\""
