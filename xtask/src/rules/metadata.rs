//! The part of `cargo metadata` that the rules ask about.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;

use anyhow::Context;
use serde_json::Value;

/// Packages and who depends on whom. Cargo resolves features for the whole workspace together, on every
/// platform: an edge here may be one that a crate built alone does not have, and never the other way round.
pub struct Metadata {
    /// By the id that cargo gives.
    pub packages: BTreeMap<String, Package>,
    /// Where cargo builds.
    pub target_folder: PathBuf,
}

/// One package.
pub struct Package {
    pub name: String,
    /// Whether it is of this workspace.
    pub is_ours: bool,
    /// Whether it runs inside the compiler.
    pub is_proc_macro: bool,
    /// Ids of what it links, not for tests and build scripts.
    pub normal: Vec<String>,
    /// Ids of all that it depends on, for whatever.
    pub any: Vec<String>,
    /// Names and version requirements as its manifest has them.
    pub requirements: Vec<(String, String)>,
    /// Optional dependencies, by the name they have in code, with the features that switch them on; once it is
    /// resolved, those that none does. Cargo lists them where a feature names them weakly (`log?/std`).
    only_weak: BTreeMap<String, Vec<String>>,
}

impl Metadata {
    /// Reads what `cargo metadata --format-version 1` prints.
    pub fn parse(text: &str) -> anyhow::Result<Metadata> {
        let json: Value = serde_json::from_str(text).context("cargo metadata is not JSON")?;
        let members: Vec<&str> = list(&json["workspace_members"])?.iter().filter_map(Value::as_str).collect();
        let mut packages = BTreeMap::new();
        for package in list(&json["packages"])? {
            let id = word(&package["id"])?;
            packages.insert(id.clone(), read_package(package, members.contains(&id.as_str()))?);
        }
        for node in list(&json["resolve"]["nodes"])? {
            let id = word(&node["id"])?;
            let package = packages.get_mut(&id).with_context(|| format!("{id} is resolved and unknown"))?;
            let enabled: Vec<&str> =
                node["features"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
            package.only_weak.retain(|_, features| !features.iter().any(|f| enabled.contains(&f.as_str())));
            for dependency in list(&node["deps"])? {
                let target = word(&dependency["pkg"])?;
                // A kind of null is a normal dependency.
                let is_normal = list(&dependency["dep_kinds"])?.iter().any(|kind| kind["kind"].is_null());
                if is_normal
                    && !package.only_weak.contains_key(dependency["name"].as_str().unwrap_or_default())
                {
                    package.normal.push(target.clone());
                }
                package.any.push(target);
            }
        }
        Ok(Metadata { packages, target_folder: word(&json["target_directory"])?.into() })
    }

    /// Our packages.
    pub fn ours(&self) -> impl Iterator<Item = (&str, &Package)> {
        self.packages
            .iter()
            .filter(|(_, package)| package.is_ours)
            .map(|(id, package)| (id.as_str(), package))
    }

    /// The name of a package.
    pub fn name<'a>(&'a self, id: &'a str) -> &'a str {
        self.packages.get(id).map_or(id, |package| &package.name)
    }

    /// Everything that `start` links in, each with one shortest way there, by names. What is below a package
    /// that `is_opaque` names, or below a procedural macro, is not looked at.
    pub fn linked<'a>(&'a self, start: &'a str, is_opaque: impl Fn(&str) -> bool) -> Vec<Vec<&'a str>> {
        let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut ways = Vec::new();
        let mut queue = VecDeque::from([start]);
        while let Some(id) = queue.pop_front() {
            let Some(package) = self.packages.get(id) else { continue };
            if id != start {
                ways.push(self.way(start, id, &came_from));
                if package.is_proc_macro || is_opaque(&package.name) {
                    continue;
                }
            }
            for next in &package.normal {
                if next != start && !came_from.contains_key(next.as_str()) {
                    came_from.insert(next, id);
                    queue.push_back(next);
                }
            }
        }
        ways
    }

    fn way<'a>(
        &'a self,
        start: &'a str,
        end: &'a str,
        came_from: &BTreeMap<&'a str, &'a str>,
    ) -> Vec<&'a str> {
        let mut way = vec![self.name(end)];
        let mut at = end;
        while at != start {
            at = came_from[at];
            way.push(self.name(at));
        }
        way.reverse();
        way
    }
}

fn read_package(package: &Value, is_ours: bool) -> anyhow::Result<Package> {
    let is_proc_macro = list(&package["targets"])?
        .iter()
        .flat_map(|target| target["kind"].as_array().into_iter().flatten())
        .any(|kind| kind == "proc-macro");
    let requirements = list(&package["dependencies"])?
        .iter()
        .map(|dependency| Ok((word(&dependency["name"])?, word(&dependency["req"])?)))
        .collect::<anyhow::Result<_>>()?;
    let name = word(&package["name"])?;
    let only_weak = optional_dependencies(package);
    Ok(Package { name, is_ours, is_proc_macro, normal: Vec::new(), any: Vec::new(), requirements, only_weak })
}

/// Optional dependencies and the features that switch them on.
fn optional_dependencies(package: &Value) -> BTreeMap<String, Vec<String>> {
    let dependencies = package["dependencies"].as_array().into_iter().flatten();
    let optional = dependencies.filter(|dependency| dependency["optional"] == true);
    let names = optional.filter_map(|it| it["rename"].as_str().or(it["name"].as_str()));
    let switched_on_by = |name: &str| {
        let features = package["features"].as_object().into_iter().flatten();
        let by = features.filter(|(_, enables)| {
            let enables = enables.as_array().into_iter().flatten().filter_map(Value::as_str);
            enables
                .into_iter()
                .any(|what| what == format!("dep:{name}") || what.starts_with(&format!("{name}/")))
        });
        by.map(|(feature, _)| feature.clone()).collect()
    };
    names.map(|name| (name.replace('-', "_"), switched_on_by(name))).collect()
}

fn list(value: &Value) -> anyhow::Result<&Vec<Value>> {
    value.as_array().context("cargo metadata has no list where one belongs")
}

fn word(value: &Value) -> anyhow::Result<String> {
    value.as_str().map(str::to_owned).context("cargo metadata has no text where some belongs")
}

#[cfg(test)]
pub mod fabricated {
    //! Workspaces that do not exist.

    use serde_json::{Value, json};

    use super::Metadata;

    /// A package: its name, whether it is ours, and its dependencies with their kinds (`""` is normal).
    pub type Fabricated<'a> = (&'a str, bool, &'a [(&'a str, &'a str)]);

    /// Metadata as cargo prints it, every requirement being `=1.0.0`. A name that ends in `_derive` is a
    /// procedural macro.
    pub fn metadata(packages: &[Fabricated]) -> Metadata {
        let ours: Vec<&str> = packages.iter().filter(|p| p.1).map(|p| p.0).collect();
        let listed: Vec<Value> = packages.iter().map(package).collect();
        let nodes: Vec<Value> = packages.iter().map(node).collect();
        let text = json!({
            "packages": listed, "workspace_members": ours, "target_directory": "target",
            "resolve": { "nodes": nodes },
        });
        Metadata::parse(&text.to_string()).expect("the fabricated metadata is well-formed")
    }

    fn package((name, _, dependencies): &Fabricated) -> Value {
        let kind = if name.ends_with("_derive") { "proc-macro" } else { "lib" };
        let dependencies: Vec<Value> =
            dependencies.iter().map(|(name, _)| json!({ "name": name, "req": "=1.0.0" })).collect();
        json!({ "id": name, "name": name, "targets": [{ "kind": [kind] }], "dependencies": dependencies })
    }

    fn node((name, _, dependencies): &Fabricated) -> Value {
        let deps: Vec<Value> = dependencies
            .iter()
            .map(|(name, kind)| {
                let kind = if kind.is_empty() { Value::Null } else { json!(kind) };
                json!({ "pkg": name, "dep_kinds": [{ "kind": kind, "target": null }] })
            })
            .collect();
        json!({ "id": name, "deps": deps })
    }
}
