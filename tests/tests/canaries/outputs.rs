//! Everything that comes out of a deployment.

use burgee_proto::admin::v1::{AuditFormat, ExportAuditEntriesRequest};
use burgee_tests::process::{built, run_with};

use super::{Drive, PLANTED};

/// One output.
pub(super) struct Output {
    pub(super) what: String,
    pub(super) bytes: Vec<u8>,
    /// What is surely in it, if it is what it says.
    markers: Vec<&'static str>,
}

impl Output {
    fn new(what: impl Into<String>, bytes: impl Into<Vec<u8>>, marker: &'static str) -> Self {
        Self {
            what: what.into(),
            bytes: bytes.into(),
            markers: vec![marker],
        }
    }

    /// A search that looks at nothing finds nothing.
    pub(super) fn holds_what_belongs_there(&self) {
        for marker in &self.markers {
            let mut places = self.bytes.windows(marker.len());
            let found = places.any(|it| it == marker.as_bytes());
            assert!(found, "{} does not hold {marker}", self.what);
        }
    }
}

impl Drive {
    /// All of them, once server and relay have ended.
    pub(super) async fn outputs(&mut self) -> Vec<Output> {
        let mut outputs = vec![Output::new("answers", self.answers.clone(), PLANTED)];
        for format in [AuditFormat::JsonLines, AuditFormat::Csv] {
            let export = self.export(format).await;
            outputs.push(Output::new(format!("{format:?}"), export, PLANTED));
        }
        // What is written a while later is written now.
        self.relay.stop().await;
        self.server.stop().await;
        let rows = self.server.database().rows().await;
        outputs.push(Output::new("the database", rows, PLANTED));
        outputs.push(self.disk());
        outputs.push(Output::new(
            "traces",
            self.collector.kept(),
            "burgee-server",
        ));
        outputs.push(Output::new("traces", self.collector.kept(), "burgee-relay"));
        let (log, relay_log) = (self.server.log(), self.relay.log());
        outputs.push(Output::new("the server's log", log, "TRACE"));
        outputs.push(Output::new("the relay's log", relay_log, "TRACE"));
        let [out, relay_out] = [self.server.stdout(), self.relay.stdout()];
        outputs.push(Output::new("the server's output", out, "listening"));
        outputs.push(Output::new("the relay's output", relay_out, "listening"));
        outputs.extend(self.programs());
        outputs
    }

    async fn export(&self, format: AuditFormat) -> Vec<u8> {
        let request = ExportAuditEntriesRequest {
            format: format.into(),
            ..ExportAuditEntriesRequest::default()
        };
        let mut audit = self.server.admin().audit();
        let mut parts = audit
            .export_audit_entries(request)
            .await
            .unwrap()
            .into_inner();
        let mut export = Vec::new();
        while let Some(part) = parts.message().await.unwrap() {
            export.extend_from_slice(&part.text);
        }
        export
    }

    /// Every file that the relay keeps, snapshots above all.
    fn disk(&self) -> Output {
        let files = self.relay.files();
        let bytes = files.iter().map(|file| std::fs::read(file).unwrap());
        let bytes: Vec<Vec<u8>> = bytes.collect();
        Output::new("the relay's disk", bytes.concat(), PLANTED)
    }

    /// What the programs say of options that they are given, and cannot use.
    fn programs(&mut self) -> Vec<Output> {
        let canary = super::random("option").replace(' ', "");
        let canary = self.canaries.add("an option", canary);
        let url = format!("postgres://burgee:{canary}@127.0.0.1/burgee");
        let bad_url = format!("postgres://burgee:{canary}@[127.0.0.1/burgee");
        let say = |arguments: &[&str], option: (&str, &str), marker| {
            let (program, arguments) = arguments.split_first().unwrap();
            let output = run_with(&built(program), arguments, &[option]);
            let said = [output.stdout, output.stderr].concat();
            Output::new(format!("{program} {}", arguments[0]), said, marker)
        };
        let url = ("BURGEE_DATABASE_URL", url.as_str());
        let bad_url = ("BURGEE_DATABASE_URL", bad_url.as_str());
        let audit_key = ("BURGEE_AUDIT_KEY", canary.as_str());
        let relay_key = ("BURGEE_RELAY_KEY", canary.as_str());
        let verify = ["burgee-server", "audit", "verify", "--database-url", url.1];
        vec![
            say(&["burgee-server", "serve", "--help"], url, "--database-url"),
            say(
                &["burgee-server", "serve", "--help"],
                audit_key,
                "--audit-key",
            ),
            say(&["burgee-relay", "--help"], relay_key, "--key"),
            say(&verify, audit_key, "--audit-key"),
            say(&["burgee-server", "migrate"], bad_url, "--database-url"),
        ]
    }
}
