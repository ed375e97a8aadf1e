//! Dependency direction.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Problem;

/// A crate's place: the crates of the workspace that it may use, and the outside crates that it must not.
struct Layer {
    name: &'static str,
    uses: &'static [&'static str],
    bans: &'static [&'static [&'static str]],
}

const RUNTIME: &[&str] = &["tokio", "futures-executor", "async-std", "smol"];
const HTTP: &[&str] = &["hyper", "hyper-util", "axum", "tower", "ureq", "reqwest", "utoipa-swagger-ui"];
const SQL: &[&str] = &["datafusion", "datafusion-spark", "sqlparser"];
const KUBERNETES: &[&str] = &["kube", "k8s-openapi"];
/// Libraries have error enums of their own; arguments are the binary's.
const BINARY: &[&str] = &["anyhow", "clap", "clap_complete", "tracing-subscriber"];

const LAYERS: &[Layer] = &[
    Layer { name: "manade-model", uses: &[], bans: &[RUNTIME, HTTP, SQL, KUBERNETES, BINARY] },
    Layer { name: "manade-events", uses: &["manade-model"], bans: &[RUNTIME, HTTP, SQL, KUBERNETES, BINARY] },
    Layer { name: "manade-store", uses: &[], bans: &[RUNTIME, HTTP, SQL, KUBERNETES, BINARY] },
    // Pins features for all the others; holds no code.
    Layer { name: "manade-features", uses: &[], bans: &[] },
    Layer {
        name: "manade-functions",
        uses: &["manade-features", "manade-model", "manade-events"],
        bans: &[RUNTIME, HTTP, KUBERNETES, BINARY],
    },
    Layer {
        name: "manade-sql",
        uses: &["manade-model", "manade-events", "manade-functions"],
        bans: &[RUNTIME, HTTP, KUBERNETES, BINARY],
    },
    Layer {
        name: "manade-pipeline",
        uses: &["manade-model", "manade-events", "manade-store", "manade-functions", "manade-sql"],
        bans: &[RUNTIME, HTTP, KUBERNETES, BINARY],
    },
    // Its clients need a runtime, which does not show.
    Layer {
        name: "manade-connectors",
        uses: &["manade-model", "manade-events", "manade-store", "manade-pipeline"],
        bans: &[HTTP, SQL, KUBERNETES, BINARY],
    },
    Layer {
        name: "manade-run",
        uses: &["manade-model", "manade-events", "manade-store", "manade-sql", "manade-pipeline", "manade-connectors"],
        bans: &[RUNTIME, HTTP, KUBERNETES, BINARY],
    },
    Layer {
        name: "manade-server",
        uses: &["manade-model", "manade-events", "manade-functions", "manade-sql", "manade-pipeline", "manade-run"],
        bans: &[&["ureq", "reqwest"], KUBERNETES, BINARY],
    },
    Layer {
        name: "manade-fuzz",
        uses: &["manade-features", "manade-model", "manade-events", "manade-pipeline", "manade-server"],
        bans: &[KUBERNETES, BINARY],
    },
    Layer {
        name: "manade",
        uses: &[
            "manade-model",
            "manade-events",
            "manade-store",
            "manade-functions",
            "manade-sql",
            "manade-pipeline",
            "manade-run",
            "manade-server",
        ],
        bans: &[&["axum", "hyper", "hyper-util"], KUBERNETES],
    },
    Layer { name: "xtask", uses: &[], bans: &[RUNTIME, HTTP, SQL, KUBERNETES] },
];

/// What `Cargo.toml` says of a crate's direct dependencies.
#[derive(Debug, Clone)]
pub struct Manifest {
    pub name: String,
    pub dependencies: Vec<Dependency>,
}

#[derive(Debug, Clone)]
pub struct Dependency {
    pub name: String,
    /// Used by tests only.
    pub dev: bool,
}

pub fn manifests(metadata: &Value) -> Result<Vec<Manifest>> {
    let packages = metadata["packages"].as_array().context("cargo metadata without packages")?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let dependency = |value: &Value| Dependency { name: text(&value["name"]), dev: value["kind"] == "dev" };
    let manifest = |package: &Value| Manifest {
        name: text(&package["name"]),
        dependencies: package["dependencies"].as_array().into_iter().flatten().map(dependency).collect(),
    };
    Ok(packages.iter().map(manifest).collect())
}

pub fn check(manifests: &[Manifest]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for manifest in manifests {
        let path = format!("crates/{}/Cargo.toml", manifest.name);
        let mut report = |message: String| problems.push(Problem { path: path.clone(), line: 1, message });
        let Some(layer) = LAYERS.iter().find(|layer| layer.name == manifest.name) else {
            report("this crate has no place in xtask's table of layers (tidy/layers.rs)".to_owned());
            continue;
        };
        for dependency in &manifest.dependencies {
            let name = dependency.name.as_str();
            if manifests.iter().any(|other| other.name == name) && !layer.uses.contains(&name) {
                report(format!("{} must not depend on {name}", manifest.name));
            }
            if !dependency.dev && layer.bans.iter().any(|group| group.contains(&name)) {
                report(format!("{} must do without {name} (ARCHITECTURE.md, invariants)", manifest.name));
            }
        }
    }
    problems
}
