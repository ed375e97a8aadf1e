//! Where things are, and cargo.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

pub struct Workspace {
    pub root: PathBuf,
    /// Cargo's target folder.
    pub target: PathBuf,
    /// `cargo metadata` without dependencies.
    pub metadata: Value,
}

impl Workspace {
    /// Cargo tells the manifest's folder to what it runs.
    pub fn find() -> Result<Self> {
        let manifest = env::var_os("CARGO_MANIFEST_DIR").context("start this as `cargo xtask`")?;
        let root = Path::new(&manifest).ancestors().nth(2).context("xtask is not in crates/xtask")?.to_owned();
        let output = cargo_in(&root).args(["metadata", "--no-deps", "--format-version", "1"]).output()?;
        if !output.status.success() {
            bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata")?;
        let target = metadata["target_directory"].as_str().context("cargo metadata without target_directory")?.into();
        Ok(Self { root, target, metadata })
    }

    pub fn cargo(&self) -> Command {
        cargo_in(&self.root)
    }

    /// The program under test.
    pub fn manade(&self) -> PathBuf {
        self.target.join("release").join("manade")
    }

    /// Builds the program with cargo's own output.
    pub fn build(&self) -> Result<()> {
        if self.cargo().args(BUILD).status()?.success() { Ok(()) } else { bail!("manade does not build") }
    }

    /// Builds what is shipped and benchmarked, and says where it is.
    pub fn build_dist(&self) -> Result<PathBuf> {
        let status = self.cargo().args(["build", "--profile", "dist", "--locked", "--package", "manade"]).status()?;
        if status.success() { Ok(self.target.join("dist").join("manade")) } else { bail!("manade does not build") }
    }

    /// An empty folder of this name for a step's files.
    pub fn scratch(&self, name: &str) -> Result<PathBuf> {
        let folder = self.target.join("xtask").join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder).with_context(|| format!("empty {}", folder.display()))?;
        }
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        Ok(folder)
    }
}

/// The same selection as `cargo run --release`, so that both share one build.
pub const BUILD: [&str; 5] = ["build", "--release", "--locked", "--package", "manade"];

fn cargo_in(root: &Path) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    // These describe xtask; build scripts that watch them would run again.
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
    command
}
