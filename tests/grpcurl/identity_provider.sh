#!/usr/bin/env bash
# Sets up an identity provider, finds it on the sign-in page, disables it and
# deletes it.
source "$(dirname "${BASH_SOURCE[0]}")/common.sh"

key="sso-$RANDOM$RANDOM"
provider="identityProviders/$key"

# etag: of the provider in the answer on standard input.
etag() {
    sed -n 's/.*"etag": *"\([^"]*\)".*/\1/p'
}

made=$(admin IdentityProviderService/CreateIdentityProvider "{\"identity_provider\": {
    \"key\": \"$key\", \"display_name\": \"Single sign-on\",
    \"issuer\": \"https://login.example.com/realms/staff\",
    \"client_id\": \"burgee\", \"client_secret\": \"not shown again\",
    \"email_domains\": [\"example.com\"], \"groups_claim\": \"groups\",
    \"role_mappings\": [{\"group\": \"shop\", \"role\": \"roles/developer\", \"scope\": \"$project\"}]}}")
printf '%s\n' "$made" | expect '"hasClientSecret": true'
printf '%s\n' "$made" | expect '/auth/callback'
if [[ "$made" == *'not shown again'* ]]; then
    echo 'the secret was shown again' >&2
    exit 1
fi

# What the sign-in page offers, to whoever asks.
admin AuthService/ListSignInOptions '{"organization": "default"}' | expect "$key"

disabled=$(admin IdentityProviderService/UpdateIdentityProvider "{\"identity_provider\": {
    \"name\": \"$provider\", \"disabled\": true}, \"etag\": \"$(printf '%s' "$made" | etag)\"}")
printf '%s\n' "$disabled" | expect '"disabled": true'

admin IdentityProviderService/DeleteIdentityProvider \
    "{\"name\": \"$provider\", \"etag\": \"$(printf '%s' "$disabled" | etag)\"}" |
    expect "\"key\": \"$key\""
