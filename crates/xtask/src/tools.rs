//! The programs that the suites need, each installed once into a cache folder, without root where that is possible.

use std::cell::Cell;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::process;

/// Large programs that are built here take their time.
const INSTALL: Duration = Duration::from_mins(40);

/// What a suite cannot run without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Python packages, with their versions, in a virtual environment of this name.
    Pip { environment: &'static str, packages: &'static [&'static str] },
    /// Node packages, with their versions, in a folder of this name.
    Npm { folder: &'static str, packages: &'static [&'static str] },
    /// A program of a Go module, in a folder of this name.
    Go { folder: &'static str, program: &'static GoProgram },
    /// Java libraries with all that they need, in a folder of this name: `GROUP:ARTIFACT:VERSION` each.
    Maven { folder: &'static str, artifacts: &'static [&'static str] },
    /// A program on the PATH, and the Debian package that brings it.
    Debian { package: &'static str, probe: &'static str },
}

/// What to build, as data.
#[derive(Debug, PartialEq, Eq)]
pub struct GoProgram {
    pub package: &'static str,
    pub version: &'static str,
    /// Files that its releases are made with and that its module lacks: path below the import path, and content.
    pub generated: &'static [(&'static str, &'static str)],
    /// What is mended in its source: path, text, and what stands there then.
    pub mended: &'static [(&'static str, &'static str, &'static str)],
}

/// What PySpark and PyFlink run on.
pub const JAVA: Need = Need::Debian { package: "openjdk-17-jre-headless", probe: "java" };
/// Clients of RabbitMQ and MongoDB.
pub const CHAIN: Need = Need::Pip { environment: "chain", packages: &["pika==1.3.2", "pymongo==4.15.4"] };
/// What Manade's SQL and its speed are compared with.
pub const SPARK: Need = Need::Pip { environment: "spark", packages: &["pyspark==4.3.0"] };

pub struct Tools {
    folder: PathBuf,
    /// Whether the system's package manager may be used.
    install: bool,
    lists_updated: Cell<bool>,
}

impl Tools {
    pub fn new(install: bool) -> Result<Self> {
        let cache = match env::var_os("MANADE_CACHE") {
            Some(folder) => PathBuf::from(folder),
            None => match env::var_os("XDG_CACHE_HOME") {
                Some(folder) => Path::new(&folder).join("manade"),
                None => Path::new(&env::var_os("HOME").context("HOME is not set")?).join(".cache/manade"),
            },
        };
        Ok(Self { folder: cache.join("tools"), install, lists_updated: Cell::new(false) })
    }

    /// Installs what is missing. The error says why that cannot be.
    pub fn provide(&self, need: Need) -> Result<()> {
        match need {
            Need::Pip { environment, packages } => self.pip(environment, packages),
            Need::Npm { folder, packages } => self.npm(folder, packages),
            Need::Go { folder, program } => self.go(folder, program),
            Need::Maven { folder, artifacts } => self.maven(folder, artifacts),
            Need::Debian { package, probe } => self.debian(package, probe),
        }
    }

    /// The program of a Go module.
    pub fn go_program(&self, folder: &str) -> PathBuf {
        self.folder.join(format!("go-{folder}")).join("program")
    }

    /// A program of a virtual environment.
    pub fn pip_program(&self, environment: &str, name: &str) -> PathBuf {
        self.folder.join(format!("pip-{environment}")).join("bin").join(name)
    }

    /// Where Node finds the packages.
    pub fn npm_folder(&self, folder: &str) -> PathBuf {
        self.folder.join(format!("npm-{folder}"))
    }

    /// For what a suite wants to keep between runs.
    pub fn cache(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn pip(&self, environment: &str, packages: &[&str]) -> Result<()> {
        let folder = self.folder.join(format!("pip-{environment}"));
        once(&folder, packages, || {
            self.debian("python3", "python3")?;
            let venv = || quietly(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
            // Debian leaves out what this needs, unless its package is there.
            if venv().is_err() && self.install {
                self.apt_install("python3-venv")?;
            }
            venv().context("python3 -m venv: install Debian's python3-venv, or run with --install as root")?;
            let pip = self.pip_program(environment, "pip");
            quietly(Command::new(pip).args(["install", "--quiet", "--disable-pip-version-check"]).args(packages))
        })
    }

    fn npm(&self, folder: &str, packages: &[&str]) -> Result<()> {
        self.debian("npm", "npm")?;
        let folder = self.npm_folder(folder);
        once(&folder, packages, || {
            let options = ["install", "--no-audit", "--no-fund", "--no-save", "--prefix"];
            quietly(Command::new("npm").args(options).arg(&folder).args(packages))
        })
    }

    /// Where the files of Java libraries are.
    pub fn maven_folder(&self, folder: &str) -> PathBuf {
        self.folder.join(format!("maven-{folder}")).join("jars")
    }

    fn maven(&self, folder: &str, artifacts: &[&str]) -> Result<()> {
        let jars = self.maven_folder(folder);
        let folder = self.folder.join(format!("maven-{folder}"));
        once(&folder, artifacts, || {
            self.debian("maven", "mvn")?;
            let dependencies = artifacts.iter().map(|artifact| dependency(artifact)).collect::<Result<String>>()?;
            let pom = format!(
                "<project><modelVersion>4.0.0</modelVersion><groupId>tools</groupId><artifactId>tools</artifactId>\
                 <version>1</version><dependencies>{dependencies}</dependencies></project>\n"
            );
            fs::write(folder.join("pom.xml"), pom)?;
            let copy = format!("-DoutputDirectory={}", jars.display());
            quietly(Command::new("mvn").current_dir(&folder).args(["-q", "-B", "dependency:copy-dependencies", &copy]))
        })
    }

    /// Built in a module that requires it: its own may have replacements, which `go install` refuses.
    fn go(&self, folder: &str, wanted: &GoProgram) -> Result<()> {
        let program = self.go_program(folder);
        let folder = self.folder.join(format!("go-{folder}"));
        let mended = wanted.mended.iter().map(|(_, _, new)| *new);
        let parts: Vec<&str> = [wanted.package, wanted.version].into_iter().chain(mended).collect();
        once(&folder, &parts, || {
            self.debian("golang-go", "go")?;
            let go = |arguments: &[&str]| quietly(Command::new("go").current_dir(&folder).args(arguments));
            go(&["mod", "init", "tools"])?;
            go(&["get", &format!("{}@{}", wanted.package, wanted.version)])?;
            // Only what is imported is copied.
            let import = format!("//go:build tools\n\npackage tools\n\nimport _ \"{}\"\n", wanted.package);
            fs::write(folder.join("tools.go"), import)?;
            go(&["mod", "vendor"])?;
            for (path, content) in wanted.generated {
                let path = folder.join("vendor").join(path);
                fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
            }
            for (path, old, new) in wanted.mended {
                let path = folder.join("vendor").join(path);
                let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
                ensure!(text.contains(old), "{} has no {old:?}", path.display());
                fs::write(&path, text.replace(old, new)).with_context(|| format!("write {}", path.display()))?;
            }
            go(&["build", "-mod=vendor", "-o", &program.to_string_lossy(), wanted.package])
        })
    }

    fn debian(&self, package: &str, probe: &str) -> Result<()> {
        if on_path(probe) {
            return Ok(());
        }
        if !self.install {
            bail!("{probe} is missing: install Debian's {package}, or run with --install as root");
        }
        self.apt_install(package)?;
        if on_path(probe) { Ok(()) } else { bail!("Debian's {package} did not bring {probe}") }
    }

    fn apt_install(&self, package: &str) -> Result<()> {
        let run = |arguments: &[&str]| {
            let mut command = Command::new("apt-get");
            // Packages that bring a service must not start it.
            command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive").env("RUNLEVEL", "1");
            quietly(&mut command)
        };
        if !self.lists_updated.replace(true) {
            run(&["update", "-q"])?;
        }
        run(&["install", "-q", "-y", "--no-install-recommends", package])
    }
}

/// As Maven's project files have it.
fn dependency(artifact: &str) -> Result<String> {
    let [group, name, version] = artifact.split(':').collect::<Vec<_>>()[..] else {
        bail!("{artifact} is not GROUP:ARTIFACT:VERSION");
    };
    Ok(format!(
        "<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>"
    ))
}

/// Runs `install` in an empty folder, unless the folder holds these packages already. A file that is written last says so.
fn once(folder: &Path, packages: &[&str], install: impl FnOnce() -> Result<()>) -> Result<()> {
    let (marker, content) = (folder.join("installed"), packages.join("\n"));
    if fs::read_to_string(&marker).is_ok_and(|found| found == content) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("empty {}", folder.display()))?;
    }
    fs::create_dir_all(folder).with_context(|| format!("create {}", folder.display()))?;
    install()?;
    fs::write(&marker, content).with_context(|| format!("write {}", marker.display()))
}

fn quietly(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}").replace('"', "");
    let finished = process::run(command.stdin(Stdio::null()), INSTALL)?;
    if finished.success() { Ok(()) } else { bail!("{shown}: {}\n{}", finished.status, finished.output.trim_end()) }
}

fn on_path(program: &str) -> bool {
    env::var_os("PATH").is_some_and(|path| env::split_paths(&path).any(|folder| folder.join(program).is_file()))
}
