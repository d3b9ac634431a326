//! ExportAuditEntries: a pulled stream of text, a page of rows at a time.

use std::collections::VecDeque;

use burgee_proto::admin::v1::{AuditFormat, ExportAuditEntriesRequest, ExportAuditEntriesResponse};
use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream;
use time::format_description::well_known::Rfc3339;
use tonic::Status;

use super::{Query, Row};
use crate::access::Authorized;
use crate::app::App;
use crate::error::Error;

/// Rows that are read at a time.
const ROWS: i64 = 200;
/// How much of rows is held at a time, in bytes, and one row more: whoever takes nothing of many
/// exports holds that of each.
const READ_BYTES_MAX: usize = 256 << 10;
/// The longest part of the text, in bytes.
const PART_MAX: usize = 1 << 20;

/// The columns of comma-separated values.
const COLUMNS: [&str; 18] = [
    "id",
    "create_time",
    "actor",
    "method",
    "request_id",
    "resource",
    "part",
    "reason",
    "project",
    "environment",
    "change_set",
    "before",
    "after",
    "detail",
    "address",
    "user_agent",
    "denied",
    "erased",
];

struct Export {
    app: App,
    query: Query,
    format: AuditFormat,
    /// The last row that was written. None: none yet.
    written: Option<i64>,
    /// Text that is to be sent.
    parts: VecDeque<Bytes>,
    ended: bool,
}

/// Streams entries, oldest first.
///
/// # Errors
/// [`Error::Invalid`], or [`Error::NotFound`] for the filter's environment.
pub async fn export_audit_entries(
    app: &App,
    authorized: &Authorized,
    request: ExportAuditEntriesRequest,
) -> Result<impl Stream<Item = Result<ExportAuditEntriesResponse, Status>> + use<>, Error> {
    let format = AuditFormat::try_from(request.format).map_err(|_| {
        Error::invalid("format", "give AUDIT_FORMAT_JSON_LINES or AUDIT_FORMAT_CSV")
    })?;
    let filter = request.filter.unwrap_or_default();
    let mut export = Export {
        app: app.clone(),
        query: Query::new(app, authorized, filter, false).await?,
        format,
        written: None,
        parts: VecDeque::new(),
        ended: false,
    };
    if format == AuditFormat::Csv {
        export.send(record(COLUMNS.map(str::to_owned))?);
    }
    Ok(stream::unfold(export, |mut export| async move {
        let part = export.next().await.transpose()?;
        let part = part.map(|text| ExportAuditEntriesResponse { text });
        Some((part.map_err(Status::from), export))
    }))
}

impl Export {
    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        while self.parts.is_empty() && !self.ended {
            // A failure ends the stream.
            self.ended = true;
            let pool = &self.app.pools.read;
            let rows = self
                .query
                .read(pool, self.written, (ROWS, READ_BYTES_MAX))
                .await?;
            self.written = rows.last().map(|row| row.id).or(self.written);
            let mut text = Vec::new();
            for row in &rows {
                text.extend(self.line(row)?);
            }
            self.send(text);
            self.ended = rows.is_empty();
        }
        Ok(self.parts.pop_front())
    }

    fn send(&mut self, text: Vec<u8>) {
        let mut text = Bytes::from(text);
        while !text.is_empty() {
            let part = text.split_to(text.len().min(PART_MAX));
            self.parts.push_back(part);
        }
    }

    fn line(&self, row: &Row) -> Result<Vec<u8>, Error> {
        match self.format {
            AuditFormat::Csv => record(fields(row)?),
            AuditFormat::Unspecified | AuditFormat::JsonLines => {
                let mut line = self
                    .app
                    .descriptors
                    .json(&row.show(&self.app.descriptors)?)?;
                line.push('\n');
                Ok(line.into_bytes())
            }
        }
    }
}

fn fields(row: &Row) -> Result<[String; COLUMNS.len()], Error> {
    let entry = row.show_without_content();
    let json = |json: &Option<String>| json.clone().unwrap_or_default();
    Ok([
        entry.id.to_string(),
        row.created_at.format(&Rfc3339).map_err(Error::internal)?,
        entry.actor,
        entry.method,
        entry.request_id,
        entry.resource,
        entry.part,
        entry.reason,
        entry.project,
        entry.environment,
        entry.change_set,
        json(&row.before),
        json(&row.after),
        json(&row.detail),
        entry.address,
        entry.user_agent,
        entry.denied.to_string(),
        entry.erased.join(" "),
    ])
}

/// A line of comma-separated values (RFC 4180).
fn record(fields: [String; COLUMNS.len()]) -> Result<Vec<u8>, Error> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    let fields = fields.map(harmless);
    writer.write_record(&fields).map_err(Error::internal)?;
    writer
        .into_inner()
        .map_err(|error| Error::internal(error.to_string()))
}

/// Spreadsheets take a cell that begins so for a formula, and would run what somebody wrote
/// into a reason. (OWASP, "CSV Injection".)
fn harmless(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) {
        format!("'{text}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_spreadsheet_would_run_is_quoted() {
        for formula in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            assert_eq!(harmless(formula.to_owned()), format!("'{formula}"));
        }
        assert_eq!(harmless("a=1".to_owned()), "a=1");
        assert_eq!(harmless(String::new()), "");
    }

    #[test]
    fn a_line_is_comma_separated_with_quotes_where_they_are_needed() {
        let mut fields = [const { String::new() }; COLUMNS.len()];
        fields[0] = "1".to_owned();
        fields[7] = "say \"hi\",\nthen leave".to_owned();
        let line = String::from_utf8(record(fields).unwrap()).unwrap();
        assert_eq!(
            line,
            "1,,,,,,,\"say \"\"hi\"\",\nthen leave\",,,,,,,,,,\r\n"
        );
    }
}
