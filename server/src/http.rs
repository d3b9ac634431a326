//! Ordinary HTTP beside gRPC on the one port: the probe of load balancers, and what to do with
//! a link.

use axum::Router;
use axum::routing::get;

use crate::first_owner;

/// What whoever follows an invitation's link is told. Its secret is in the browser's address
/// alone, and goes nowhere but into the call.
const INVITATION: &str = r#"This link makes one person a member of an organization here, once.

What follows the # in its address is a secret. AuthService.AcceptInvitation takes it, with a
password of your own choice; "email" only if the invitation names nobody, as the first owner's.
Of https://flags.example.com, or of http:// with -plaintext:

  grpcurl -d '{"secret": "burgee_lnk_...", "email": "you@example.com",
               "display_name": "Your name", "password": "..."}' \
    flags.example.com:443 burgee.admin.v1.AuthService/AcceptInvitation

The answer's "secret" is a session: send it as "authorization: Bearer burgee_ses_...".
"#;

/// Paths that are not gRPC.
pub fn router() -> Router {
    // That it answers is the answer: what is behind it is told by grpc.health.v1.
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route(first_owner::PATH, get(|| async { INVITATION }))
}
