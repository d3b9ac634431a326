//! ListAuditEntries.

use burgee_proto::admin::v1::{ListAuditEntriesRequest, ListAuditEntriesResponse};

use super::{Query, Row};
use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;
use crate::page::Page;

/// An entry with more content than this is shown without it, in bytes.
const ENTRY_MAX: usize = 256 << 10;
/// How much of entries is held for a page, in bytes, and one entry more.
const READ_BYTES_MAX: usize = 16 << 20;
/// A page ends after so much content, in bytes: clients take messages of 4 MiB.
const PAGE_MAX: usize = 2 << 20;

/// Lists entries, newest first.
///
/// # Errors
/// [`Error::Invalid`], or [`Error::NotFound`] for the filter's environment.
pub async fn list_audit_entries(
    app: &App,
    authorized: &Authorized,
    request: ListAuditEntriesRequest,
) -> Result<ListAuditEntriesResponse, Error> {
    let filter = request.filter.unwrap_or_default();
    let query = Query::new(app, authorized, filter.clone(), true).await?;
    let question = app.descriptors.json(&filter)?;
    let page = Page::parse(
        request.page_size,
        &request.page_token,
        &["audit", &question],
    )?;
    let (after, room) = (page.after()?, (page.rows(), READ_BYTES_MAX));
    let mut rows = query.read(&app.pools.read, after, room).await?;
    // Fewer than there are, for all that they hold.
    let there_are_more = rows.iter().map(Row::content_bytes).sum::<usize>() >= READ_BYTES_MAX;
    let mut next_page_token = page.cut(&mut rows, |row| row.id.to_string());
    let shown = shown_within(&rows, PAGE_MAX);
    if shown.is_some() || (there_are_more && next_page_token.is_empty()) {
        rows.truncate(shown.unwrap_or(rows.len()));
        let last = rows.last().map(|row| row.id.to_string());
        next_page_token = page.token_after(&last.unwrap_or_default());
    }
    let entries = rows.iter().map(|row| {
        if row.content_bytes() <= ENTRY_MAX {
            return row.show(&app.descriptors);
        }
        let mut entry = row.show_without_content();
        entry.truncated = true;
        Ok(entry)
    });
    Ok(ListAuditEntriesResponse {
        audit_entries: entries.collect::<Result<_, _>>()?,
        next_page_token,
    })
}

/// How many rows stay within a size; at least one. None: all of them.
fn shown_within(rows: &[Row], bytes_max: usize) -> Option<usize> {
    let mut bytes = 0;
    let over = rows.iter().position(|row| {
        let content = row.content_bytes();
        bytes += if content <= ENTRY_MAX { content } else { 0 };
        bytes > bytes_max
    });
    over.map(|place| place.max(1))
}
