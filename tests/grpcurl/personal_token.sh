#!/usr/bin/env bash
# A person who is invited makes a token of their own that reads the audit log and
# nothing else, and a script uses it.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

# secret: the one in an answer.
secret() {
    sed -n 's/.*"secret": *"\([^"]*\)".*/\1/p'
}

# anonymous METHOD JSON: without a credential.
anonymous() {
    grpcurl -plaintext -d "$2" "$BURGEE_ADDRESS" "burgee.admin.v1.$1"
}

email="auditor-$RANDOM$RANDOM@example.com"
link=$(admin MemberService/InviteMember \
    "{\"invitation\": {\"email\": \"$email\", \"role\": \"roles/reviewer\"}}" | secret)
accepted=$(anonymous AuthService/AcceptInvitation "{\"secret\": \"$link\",
    \"display_name\": \"An auditor\", \"password\": \"lanterns over harbour 7\"}")
session=$(printf '%s' "$accepted" | secret)

# Only a session makes tokens.
made=$(BURGEE_TOKEN=$session admin PersonalTokenService/CreatePersonalToken '{"personal_token": {
    "display_name": "nightly report", "scopes": {"permissions": ["audit.read"]}}}')
printf '%s\n' "$made" | expect '"displayName": "nightly report"' | grep -v secret
token=$(printf '%s' "$made" | secret)

BURGEE_TOKEN=$token admin AuthService/WhoAmI '{}' | expect '"tokenDisplayName": "nightly report"'
BURGEE_TOKEN=$token admin AuditService/ListAuditEntries \
    '{"filter": {"method": "CreatePersonalToken"}}' | expect '"part": "personalToken"'
if BURGEE_TOKEN=$token admin MemberService/ListMembers '{}' 2>/dev/null; then
    echo 'a token for the audit log listed members' >&2
    exit 1
fi

name=$(printf '%s' "$made" | sed -n 's/.*"name": *"\([^"]*\)".*/\1/p')
BURGEE_TOKEN=$session admin PersonalTokenService/RevokePersonalToken "{\"name\": \"$name\"}" |
    expect '"revokeTime"'
