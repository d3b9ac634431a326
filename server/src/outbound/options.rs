//! What an operator says of calls to others.

use std::path::{Path, PathBuf};

use clap::Args;
use ipnet::IpNet;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::{Allowed, Outbound};
use crate::failure::Failure;

/// Calls to others.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Identity providers")]
pub struct OutboundOptions {
    /// Networks that identity providers may be in, beside the open internet, such as 10.1.0.0/16
    #[arg(
        long,
        env = "BURGEE_OUTBOUND_ALLOW",
        value_name = "CIDR",
        value_delimiter = ','
    )]
    pub outbound_allow: Vec<IpNet>,
    /// The file of certificate authorities (PEM) that are trusted beside the usual ones
    #[arg(long, env = "BURGEE_OUTBOUND_CA_FILE", value_name = "FILE")]
    pub outbound_ca_file: Option<PathBuf>,
}

impl OutboundOptions {
    /// The client that they ask for.
    ///
    /// # Errors
    /// [`Failure::CertificateAuthorities`] for a file that cannot be used.
    pub fn outbound(&self) -> Result<Outbound, Failure> {
        let authorities = match &self.outbound_ca_file {
            Some(file) => read(file)?,
            None => Vec::new(),
        };
        let allowed = Allowed::new(self.outbound_allow.iter().copied());
        let file = self.outbound_ca_file.as_deref();
        Outbound::new(allowed, authorities).map_err(|error| unusable(file, error))
    }
}

fn read(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let authorities: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(Some(file), error))?;
    match authorities.is_empty() {
        true => Err(unusable(Some(file), "it holds none")),
        false => Ok(authorities),
    }
}

fn unusable(file: Option<&Path>, cause: impl ToString) -> Failure {
    Failure::CertificateAuthorities {
        file: file.map(Path::to_owned).unwrap_or_default(),
        cause: cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_certificates_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("authorities.pem");
        let options = OutboundOptions {
            outbound_ca_file: Some(file.clone()),
            ..OutboundOptions::default()
        };
        assert!(options.outbound().is_err(), "it is not there");
        for content in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nx"] {
            std::fs::write(&file, content).unwrap();
            let failure = options.outbound().err().unwrap().to_string();
            assert!(failure.contains("authorities.pem"), "{failure}");
        }
        OutboundOptions::default().outbound().unwrap();
    }
}
