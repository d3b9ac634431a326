//! The log as it is asked for: by filters, each alone and all together, and as text.

use burgee_proto::admin::v1::{
    AuditEntry, AuditFilter, AuditFormat, ExportAuditEntriesRequest, ListAuditEntriesRequest,
};
use burgee_tests::callers::Caller;
use burgee_tests::wait::{SOON, until};
use prost::Message as _;
use prost_reflect::DynamicMessage;
use prost_types::Timestamp;
use serde_json::Value;

use super::STAGING;
use super::writer::{Writer, plain};

/// How many fields a filter has.
const FIELDS: u32 = 8;

async fn list(caller: &Caller, filter: &AuditFilter) -> Vec<AuditEntry> {
    let request = ListAuditEntriesRequest {
        page_size: 1_000,
        filter: Some(filter.clone()),
        ..ListAuditEntriesRequest::default()
    };
    let page = caller.audit().list_audit_entries(request).await.unwrap();
    let page = page.into_inner();
    assert!(page.next_page_token.is_empty());
    page.audit_entries
}

/// A filter that finds this entry, by those of its fields whose bits are set.
fn finding(entry: &AuditEntry, fields: u32) -> AuditFilter {
    let is_set = |field: u32| fields & (1 << field) != 0;
    let text = |field, text: &str| if is_set(field) { text } else { "" }.to_owned();
    let (_, method) = entry.method.rsplit_once('/').unwrap();
    let above = entry.resource.rsplit_once('/');
    let environment = if entry.environment.is_empty() {
        ""
    } else {
        STAGING
    };
    AuditFilter {
        actor: text(0, &entry.actor),
        resource: text(1, above.map_or("", |(above, _)| above)),
        environment: text(2, environment),
        method: text(3, method),
        start_time: entry.create_time.filter(|_| is_set(4)),
        // The last moment before it would be missed.
        end_time: entry
            .create_time
            .filter(|_| is_set(5))
            .map(|time| Timestamp {
                nanos: time.nanos + 1_000,
                ..time
            }),
        request_id: text(6, &entry.request_id),
        denied: is_set(7).then_some(entry.denied > 0),
    }
}

/// What the contract says of a filter.
fn fits(filter: &AuditFilter, staging: &str, entry: &AuditEntry) -> bool {
    let given = |asked: &str, fits: bool| asked.is_empty() || fits;
    let time = |time: &Option<Timestamp>| time.map(|time| (time.seconds, time.nanos));
    let when = time(&entry.create_time);
    let below = format!("{}/", filter.resource);
    let is_about = entry.resource == filter.resource || entry.resource.starts_with(&below);
    let is_by =
        entry.method == filter.method || entry.method.ends_with(&format!("/{}", filter.method));
    given(&filter.actor, entry.actor == filter.actor)
        && given(&filter.resource, is_about)
        && given(&filter.environment, entry.environment == staging)
        && given(&filter.method, is_by)
        && given(&filter.request_id, entry.request_id == filter.request_id)
        && filter
            .start_time
            .is_none_or(|start| when >= time(&Some(start)))
        && filter.end_time.is_none_or(|end| when < time(&Some(end)))
        && filter
            .denied
            .is_none_or(|denied| denied == (entry.denied > 0))
}

/// Somebody tries what they may not.
async fn an_attempt_is_refused(writer: &Writer) {
    let owner = writer.server.admin();
    let curious = owner.somebody("curious", "viewer", "").await;
    let request = burgee_proto::admin::v1::SetFlagEnabledRequest {
        name: format!("{STAGING}/flags/banner"),
        ..Default::default()
    };
    curious.flags().set_flag_enabled(request).await.unwrap_err();
    let refused = AuditFilter {
        denied: Some(true),
        ..AuditFilter::default()
    };
    until("it is told", SOON, async || {
        !list(owner, &refused).await.is_empty()
    })
    .await;
}

pub(super) async fn each_filter_finds_what_it_says(writer: &Writer) {
    an_attempt_is_refused(writer).await;
    let owner = writer.server.admin();
    let all = list(owner, &AuditFilter::default()).await;
    let by = |method: &str| {
        let mut entries = all.iter();
        let found = entries.find(|it| it.request_id == method || it.method.ends_with(method));
        found.unwrap_or_else(|| panic!("{method} is told")).clone()
    };
    let in_staging = by("FlagService/SetRollout");
    let staging = in_staging.environment.clone();
    let refused = all.iter().find(|entry| entry.denied > 0).unwrap().clone();
    for entry in [in_staging, by("MemberService/UpdateRole"), refused] {
        for fields in 0..1 << FIELDS {
            let filter = finding(&entry, fields);
            let found = list(owner, &filter).await;
            assert!(found.contains(&entry), "{filter:?}");
            let expected = all.iter().filter(|it| fits(&filter, &staging, it));
            let expected: Vec<_> = expected.cloned().collect();
            assert_eq!(found, expected, "{filter:?}");
        }
    }
}

async fn export(caller: &Caller, filter: &AuditFilter, format: AuditFormat) -> Vec<u8> {
    let request = ExportAuditEntriesRequest {
        filter: Some(filter.clone()),
        format: format.into(),
    };
    let answer = caller.audit().export_audit_entries(request).await.unwrap();
    let (mut parts, mut text) = (answer.into_inner(), Vec::new());
    while let Some(part) = parts.message().await.unwrap() {
        text.extend_from_slice(&part.text);
    }
    text
}

pub(super) async fn exports_say_what_lists_say(writer: &Writer) {
    let owner = writer.server.admin();
    let of_shop = AuditFilter {
        resource: "projects/shop".to_owned(),
        ..AuditFilter::default()
    };
    for filter in [AuditFilter::default(), of_shop] {
        let mut expected = list(owner, &filter).await;
        expected.reverse();
        assert!(expected.len() > 10, "{filter:?}");
        for format in [AuditFormat::Unspecified, AuditFormat::JsonLines] {
            let lines = export(owner, &filter, format).await;
            assert_eq!(entries_of(writer, &lines), expected, "{filter:?}");
        }
        let csv = export(owner, &filter, AuditFormat::Csv).await;
        let mut reader = csv::Reader::from_reader(csv.as_slice());
        let header = reader.headers().unwrap().clone();
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(rows.len(), expected.len(), "{filter:?}");
        for (row, entry) in rows.iter().zip(&expected) {
            let cells = header.iter().zip(row.iter());
            for (column, cell) in cells {
                let (cell, told) = match column {
                    // Written in more than one way.
                    "create_time" | "before" | "after" | "detail" => {
                        (normal(cell), normal(&cell_of(entry, column)))
                    }
                    _ => (cell.to_owned(), cell_of(entry, column)),
                };
                assert_eq!(cell, told, "{column} of {entry:?}");
            }
        }
    }
}

/// A time or JSON, as it is written here.
fn normal(cell: &str) -> String {
    if let Ok(time) = cell.parse::<Timestamp>() {
        return time.to_string();
    }
    let json: Result<Value, _> = serde_json::from_str(cell);
    json.map_or_else(|_| cell.to_owned(), |json| json.to_string())
}

/// What a cell shall hold.
fn cell_of(entry: &AuditEntry, column: &str) -> String {
    let json = |value: &Option<prost_types::Value>| {
        let value = value.as_ref().map(|value| plain(value).to_string());
        value.unwrap_or_default()
    };
    let text = match column {
        "id" => entry.id.to_string(),
        "create_time" => entry.create_time.unwrap().to_string(),
        "actor" => entry.actor.clone(),
        "method" => entry.method.clone(),
        "request_id" => entry.request_id.clone(),
        "resource" => entry.resource.clone(),
        "part" => entry.part.clone(),
        "reason" => entry.reason.clone(),
        "project" => entry.project.clone(),
        "environment" => entry.environment.clone(),
        "change_set" => entry.change_set.clone(),
        "before" => json(&entry.before),
        "after" => json(&entry.after),
        "detail" => json(&entry.detail),
        "address" => entry.address.clone(),
        "user_agent" => entry.user_agent.clone(),
        "denied" => entry.denied.to_string(),
        "erased" => entry.erased.join(" "),
        _ => panic!("what is {column}?"),
    };
    // A spreadsheet would run it.
    match text.starts_with('=') {
        true => format!("'{text}"),
        false => text,
    }
}

fn entries_of(writer: &Writer, lines: &[u8]) -> Vec<AuditEntry> {
    let descriptor = writer.contract.message("burgee.admin.v1.AuditEntry");
    let lines = std::str::from_utf8(lines).unwrap().lines();
    let entries = lines.map(|line| {
        let mut line = serde_json::Deserializer::from_str(line);
        let entry = DynamicMessage::deserialize(descriptor.clone(), &mut line).unwrap();
        AuditEntry::decode(entry.encode_to_vec().as_slice()).unwrap()
    });
    entries.collect()
}
