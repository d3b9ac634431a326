//! ListSignInOptions: what a sign-in page offers.

use burgee_proto::admin::v1::{
    IdentityProvider, ListSignInOptionsRequest, ListSignInOptionsResponse, SignInOption,
};
use prost::Message as _;

use crate::app::App;
use crate::error::Error;
use crate::names::check_slug;

/// Lists how people can sign in to an organization. One that does not exist has no identity
/// provider either, and says no more.
///
/// # Errors
/// [`Error::Invalid`] for what is no key.
pub(super) async fn list_sign_in_options(
    app: &App,
    request: ListSignInOptionsRequest,
) -> Result<ListSignInOptionsResponse, Error> {
    check_slug("organization", &request.organization)?;
    let bodies = sqlx::query_scalar!(
        "select p.body from identity_providers p join organizations o on o.id = p.organization_id
         where o.key = $1 and not p.disabled order by p.key",
        request.organization,
    )
    .fetch_all(&app.pools.authentication)
    .await?;
    let providers = bodies.iter().map(|body| {
        let provider = IdentityProvider::decode(body.as_slice())?;
        Ok(SignInOption {
            identity_provider: provider.key,
            display_name: provider.display_name,
        })
    });
    Ok(ListSignInOptionsResponse {
        identity_providers: providers.collect::<Result<_, Error>>()?,
    })
}
