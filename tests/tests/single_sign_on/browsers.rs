//! A page keeps the flow and the session in cookies that it cannot read.

use burgee_proto::admin::v1::{
    BeginOidcSignInRequest, BeginOidcSignInResponse, CompleteOidcSignInRequest,
    CompleteOidcSignInResponse, WhoAmIRequest,
};
use burgee_tests::issuer::visit;
use burgee_tests::single_sign_on::{ORGANIZATION, PROVIDER, SingleSignOn, completion};
use prost::Message as _;

use crate::people::browsers::{call, origin};

#[tokio::test]
async fn a_page_signs_in_and_no_script_sees_a_secret() {
    let sso = SingleSignOn::start().await;
    let server = &sso.server;
    let own = origin(server);
    let begin = BeginOidcSignInRequest {
        organization: ORGANIZATION.to_owned(),
        identity_provider: PROVIDER.to_owned(),
        set_cookie: true,
    };
    let begun = call(server, "BeginOidcSignIn", &own, &begin).await;
    let response = BeginOidcSignInResponse::decode(begun.messages[0].as_slice()).unwrap();
    assert_eq!(response.flow_secret, "");
    let cookie = begun.cookie().unwrap();
    let (flow, attributes) = cookie.split_once("; ").unwrap();
    assert!(flow.starts_with("burgee_sign_in=burgee_flw_"), "{flow}");
    let expected = "Path=/burgee.admin.v1.AuthService/; HttpOnly; SameSite=Strict; Max-Age=600";
    assert_eq!(attributes, expected);

    let redirect = visit(&response.authorization_url).await;
    let complete = CompleteOidcSignInRequest {
        set_cookie: true,
        ..completion(redirect, "")
    };
    let foreign = format!("origin: https://evil.example\r\ncookie: {flow}\r\n");
    let stolen = call(server, "CompleteOidcSignIn", &foreign, &complete).await;
    assert!(
        stolen.cookie().is_none() && stolen.messages.is_empty(),
        "{}",
        stolen.head
    );
    let with_flow = format!("{own}cookie: {flow}\r\n");
    let completed = call(server, "CompleteOidcSignIn", &with_flow, &complete).await;
    let message = completed
        .messages
        .first()
        .unwrap_or_else(|| panic!("{}", completed.head));
    let response = CompleteOidcSignInResponse::decode(message.as_slice()).unwrap();
    assert_eq!(response.secret, "");
    let cookies: Vec<_> = completed.cookies().collect();
    let [session, forgotten] = cookies[..] else {
        panic!("{cookies:?}")
    };
    assert!(forgotten.starts_with("burgee_sign_in=; "), "{forgotten}");
    assert!(forgotten.contains("Max-Age=0"), "{forgotten}");
    let (session, _) = session.split_once("; ").unwrap();
    let with_session = format!("{own}cookie: {session}\r\n");
    let who = call(server, "WhoAmI", &with_session, &WhoAmIRequest {}).await;
    assert_eq!(who.messages.len(), 1);
}
