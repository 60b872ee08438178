//! The Compose file, as Compose itself reads it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Map, Value};

use super::syntax::unescape;
use crate::{Error, Result};

/// Where the project is described.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// In a Compose file, read by the Compose that is installed; none for the one that Compose finds by itself.
    File(Option<PathBuf>),
    /// In what `docker compose config` has printed, for places where Compose is not installed.
    Resolved(PathBuf),
}

/// A project: its services and what they share.
#[derive(Clone, Debug, PartialEq)]
pub struct Project {
    /// Its name, which names of containers and networks begin with.
    pub name: String,
    /// The whole of it, without abbreviations.
    document: Map<String, Value>,
    /// It was read by a Compose of the first generation.
    is_first: bool,
}

/// The programs that may be Compose, and how to ask them.
enum Composer {
    /// `docker compose`, or `docker-compose` of the second generation.
    Second(&'static [&'static str]),
    /// `docker-compose` of the first generation, which knows no JSON and does not tell the project's name.
    First,
}

impl Project {
    /// Reads the project. A name wins over what the files say.
    pub fn load(source: &Source, name: Option<&str>) -> Result<Self> {
        let (place, text, folder) = match source {
            Source::Resolved(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    let hint = "--resolved names what `docker compose config` has printed";
                    Error::template(path.display(), format!("the file cannot be read ({error}); {hint}"))
                })?;
                (path.display().to_string(), text, None)
            }
            Source::File(path) => {
                let composer = Composer::find()?;
                let place = path
                    .as_deref()
                    .map_or_else(|| "compose file".to_owned(), |path| path.display().to_string());
                let text = composer
                    .config(path.as_deref(), name)
                    .map_err(|message| Error::template(&place, message))?;
                let folder = matches!(composer, Composer::First).then(|| folder_of(path.as_deref()));
                (place, text, folder)
            }
        };
        Project::parse(&text, name, folder.as_deref()).map_err(|message| Error::template(place, message))
    }

    /// Reads what Compose has printed, which is YAML or JSON, and JSON is YAML.
    pub(super) fn parse(text: &str, name: Option<&str>, folder: Option<&Path>) -> Result<Self, String> {
        let document: Value = serde_saphyr::from_str(text).map_err(|error| error.to_string())?;
        let Value::Object(document) = unescape(document) else {
            return Err("this is no Compose file".to_owned());
        };
        if !document.get("services").is_some_and(Value::is_object) {
            return Err("there are no services in it".to_owned());
        }
        let told = document.get("name").and_then(Value::as_str);
        let name = match (name.or(told), folder) {
            (Some(name), _) => name.to_owned(),
            (None, Some(folder)) => first_generation_name(folder),
            (None, None) => String::new(),
        };
        if name.is_empty() {
            return Err("it does not tell the project's name; give --project-name".to_owned());
        }
        Ok(Project { name, document, is_first: folder.is_some() })
    }

    /// The services, by name.
    pub(super) fn services(&self) -> impl Iterator<Item = (&str, &Value)> {
        let services = self.document.get("services").and_then(Value::as_object);
        services.into_iter().flatten().map(|(name, service)| (name.as_str(), service))
    }

    /// What is said of a network, volume, secret or configuration of this key.
    pub(super) fn shared(&self, kind: &str, key: &str) -> Option<&Value> {
        self.document.get(kind)?.get(key)
    }

    /// The name of the image that Compose builds for a service which names none.
    pub(super) fn image(&self, service: &str) -> String {
        format!("{}{}{service}", self.name, if self.is_first { '_' } else { '-' })
    }

    /// The name that the Docker Engine knows a network or a volume by.
    pub(super) fn real_name(&self, kind: &str, key: &str) -> Result<String, String> {
        let shared = match self.shared(kind, key) {
            Some(shared) => shared,
            // The first generation does not mention what has no settings.
            None if kind == "networks" && key == "default" => &Value::Null,
            None => return Err(format!("{key:?} is not among the {kind} of the project")),
        };
        let external = shared.get("external");
        let named = shared.get("name").or_else(|| external?.get("name")).and_then(Value::as_str);
        let is_external = external.is_some_and(|external| external.is_object() || external == true);
        Ok(match named {
            Some(name) => name.to_owned(),
            None if is_external => key.to_owned(),
            None => format!("{}_{key}", self.name),
        })
    }
}

impl Composer {
    /// The one that is installed.
    fn find() -> Result<Self> {
        let version = |words: &[&str]| {
            let output = Command::new(words[0])
                .args(&words[1..])
                .args(["version", "--short"])
                .stdin(Stdio::null())
                .output()
                .ok()?;
            output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        if version(&["docker", "compose"]).is_some() {
            return Ok(Composer::Second(&["docker", "compose"]));
        }
        match version(&["docker-compose"]) {
            Some(version) if version.starts_with("1.") => Ok(Composer::First),
            Some(_) => Ok(Composer::Second(&["docker-compose"])),
            None => Err(Error::template(
                "compose file",
                "neither `docker compose` nor `docker-compose` can be run, and only Compose reads its files; install \
                 one of them, or give what `docker compose config` prints elsewhere with --resolved",
            )),
        }
    }

    /// What Compose understands of the file.
    fn config(&self, file: Option<&Path>, name: Option<&str>) -> Result<String, String> {
        let words = match self {
            Composer::Second(words) => *words,
            Composer::First => &["docker-compose"],
        };
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).stdin(Stdio::null());
        if let Some(file) = file {
            command.arg("--file").arg(file);
        }
        if let Some(name) = name {
            command.args(["--project-name", name]);
        }
        match self {
            // Agents may have a profile, so that `up` does not start them.
            Composer::Second(_) => command.args(["--profile", "*", "config", "--format", "json"]),
            Composer::First => command.arg("config"),
        };
        let output =
            command.output().map_err(|error| format!("{} cannot be run: {error}", words.join(" ")))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(format!("{} says: {}", words.join(" "), said.trim()));
        }
        // Such as that a variable is not set, and what it stands for empty.
        for warning in said.lines().filter(|line| !line.trim().is_empty()) {
            tracing::warn!(warning, "{} warns", words.join(" "));
        }
        String::from_utf8(output.stdout).map_err(|_| "what Compose prints is not UTF-8".to_owned())
    }
}

/// The folder that the first generation takes a project's name from.
fn folder_of(file: Option<&Path>) -> PathBuf {
    let file = file.unwrap_or(Path::new("docker-compose.yml"));
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    file.parent().unwrap_or(Path::new("/")).to_owned()
}

/// The name that the first generation gives a project: that of the environment, or of the folder.
fn first_generation_name(folder: &Path) -> String {
    let name = std::env::var("COMPOSE_PROJECT_NAME").ok().filter(|name| !name.is_empty());
    let name = name.unwrap_or_else(|| folder.file_name().unwrap_or_default().to_string_lossy().into_owned());
    let fits =
        |letter: &char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || matches!(letter, '-' | '_');
    name.to_lowercase().chars().filter(fits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_generations_are_understood() {
        let second = r#"{"name": "shop", "services": {"A": {"command": ["echo", "$$HOME"]}},
            "networks": {"default": {"name": "shop_default", "ipam": {}}, "far": {"name": "other", "external": true}}}"#;
        let project = Project::parse(second, None, None).unwrap();
        assert_eq!(project.name, "shop");
        let (name, service) = project.services().next().expect("a service");
        assert_eq!((name, &service["command"][1]), ("A", &Value::from("$HOME")));
        assert_eq!(project.real_name("networks", "default"), Ok("shop_default".into()));
        assert_eq!(project.real_name("networks", "far"), Ok("other".into()));

        let first = "
networks:
  far: {external: true}
  further: {external: {name: there}}
  near: {}
services:
  A: {image: 'a'}
version: '3'
volumes:
  data: {}
";
        let project = Project::parse(first, None, Some(Path::new("/home/My.Shop"))).unwrap();
        assert_eq!(project.name, "myshop");
        for (key, expected) in
            [("default", "myshop_default"), ("far", "far"), ("further", "there"), ("near", "myshop_near")]
        {
            assert_eq!(project.real_name("networks", key), Ok(expected.into()));
        }
        assert_eq!(project.real_name("volumes", "data"), Ok("myshop_data".into()));
        assert!(project.real_name("volumes", "default").is_err());
        assert_eq!(Project::parse(first, Some("other"), None).unwrap().name, "other");
    }

    #[test]
    fn what_is_no_project_is_named() {
        for (text, complaint) in [
            ("[", ""),
            ("[]", "this is no Compose file"),
            ("name: x", "there are no services"),
            ("services: {}", "give --project-name"),
        ] {
            let error = Project::parse(text, None, None).expect_err(text);
            assert!(error.contains(complaint), "{error}");
        }
        let error = Project::load(&Source::Resolved("no/such.yaml".into()), None).expect_err("no such file");
        assert!(error.to_string().starts_with("no/such.yaml: the file cannot be read"), "{error}");
    }
}
