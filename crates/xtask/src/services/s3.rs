//! MinIO, which speaks S3.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Place, Service};
use crate::tools::{GoProgram, Need, Tools};

pub const SERVICE: Service = Service {
    name: "s3",
    needs: &[Need::Go { folder: FOLDER, program: &MINIO }],
    port: 9000,
    command,
    ready: "API: http",
    url: |port| format!("http://127.0.0.1:{port} (access key minioadmin, secret key minioadmin)"),
};

const FOLDER: &str = "minio";

const MINIO: GoProgram = GoProgram {
    package: "github.com/minio/minio",
    version: "v0.0.0-20260212201848-7aac2a2c5b7c",
    generated: &[],
    mended: &[],
};

fn command(place: &Place) -> Result<Command> {
    let Place { folder, port, settings } = place;
    let data = folder.join("data");
    fs::create_dir_all(&data).with_context(|| format!("create {}", data.display()))?;
    let mut command = Command::new(Tools::new(false)?.go_program(FOLDER));
    command.arg("server").arg(data).args(["--address", &format!("127.0.0.1:{port}")]).args(settings.lines());
    command.args(["--console-address", "127.0.0.1:0"]);
    // It must neither ask for newer releases nor keep what others have set.
    command.env("MINIO_UPDATE", "off").env("MINIO_CALLHOME_ENABLE", "off").env("HOME", folder);
    command.env("MINIO_ROOT_USER", "minioadmin").env("MINIO_ROOT_PASSWORD", "minioadmin");
    Ok(command)
}
