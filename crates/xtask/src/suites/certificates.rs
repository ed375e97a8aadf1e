//! Certificates for TLS, made with openssl for a run: an authority, a server's and a client's of it, and an authority that
//! nobody knows.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::Result;

use crate::process;
use crate::tools::Need;

pub const OPENSSL: Need = Need::Debian { package: "openssl", probe: "openssl" };
/// Of a connection whose certificates were [given](give).
pub const OURS: &str = "tls: { ca: { file: ca.pem }, cert: { file: client.pem }, key: { file: client.key } }";

const PATIENCE: Duration = Duration::from_mins(1);

/// Writes `ca`, `server`, `client` and `stranger`, each as `.pem` and `.key`.
pub fn make(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    for authority in ["ca", "stranger"] {
        let subject = format!("/CN=Manade test {authority}");
        let new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", &subject];
        openssl(folder, &[&new[..], &["-keyout", &key(authority), "-out", &pem(authority)]].concat())?;
    }
    for name in ["server", "client"] {
        let subject = format!("/CN={name}");
        let new = ["req", "-newkey", "rsa:2048", "-nodes", "-subj", &subject];
        openssl(folder, &[&new[..], &["-keyout", &key(name), "-out", "request"]].concat())?;
        fs::write(folder.join("extensions"), "subjectAltName = IP:127.0.0.1\n")?;
        let sign = ["x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
        openssl(folder, &[&sign[..], &["-days", "2", "-extfile", "extensions", "-out", &pem(name)]].concat())?;
    }
    Ok(())
}

/// Copies what a platform's file may name from where they were made to beside it.
pub fn give(made: &Path, folder: &Path) -> Result<()> {
    for name in ["ca.pem", "stranger.pem", "client.pem", "client.key", "server.key"] {
        fs::copy(made.join(name), folder.join(name))?;
    }
    Ok(())
}

fn pem(name: &str) -> String {
    format!("{name}.pem")
}

fn key(name: &str) -> String {
    format!("{name}.key")
}

fn openssl(folder: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("openssl");
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    process::output_of(&mut command, PATIENCE).map(|_| ())
}
