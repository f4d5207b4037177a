//! Which components the host knows: what they may import, what they must export, read before anything is compiled.
//!
//! A refusal names what is missing or unknown and what this host offers. Whether the types agree is wasmtime's to say,
//! when the component is linked.

use wasmparser::{BinaryReaderError, DataKind, Operator, Parser, Payload, TypeRef};

use crate::limits;
use crate::wasi;

/// The contract's version, matched exactly until it is frozen.
pub(crate) const VERSION: &str = "1.0.0-rc.2";
const PACKAGE: &str = "sealwire:policy/";

/// What a component says about itself.
#[derive(Debug, Default)]
pub(crate) struct World {
    imports: Vec<String>,
    exports: Vec<String>,
    /// Octets of start data that every instance copies, for they cannot be part of an image.
    pub(crate) copied_octets: usize,
}

impl World {
    /// Reads names and start data. Err: this is no component.
    pub(crate) fn read(component: &[u8]) -> Result<World, String> {
        World::parse(component).map_err(|error| format!("this is not a WebAssembly component: {error}"))?.ok_or_else(|| {
            "this is a core module, not a component; wrap it with `wasm-tools component new`, or build it with the sealwire SDK"
                .to_owned()
        })
    }

    fn parse(component: &[u8]) -> Result<Option<World>, BinaryReaderError> {
        if Parser::is_core_wasm(component) {
            return Ok(None);
        }
        let mut world = World::default();
        let mut depth = 0_usize;
        let mut imports_memory = false;
        for payload in Parser::new(0).parse_all(component) {
            match payload? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                    depth += 1;
                    imports_memory = false;
                }
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        world.imports.push(import?.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        world.exports.push(export?.name.name.to_owned());
                    }
                }
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        imports_memory |= matches!(import?.ty, TypeRef::Memory(_));
                    }
                }
                Payload::DataSection(section) => {
                    for data in section {
                        let data = data?;
                        let DataKind::Active { offset_expr, .. } = data.kind else { continue };
                        let first = offset_expr.get_operators_reader().read()?;
                        let fixed = matches!(first, Operator::I32Const { .. } | Operator::I64Const { .. });
                        if imports_memory || !fixed {
                            world.copied_octets += data.data.len();
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(Some(world))
    }

    /// Everything that is unknown or missing.
    pub(crate) fn problems(&self) -> Vec<String> {
        let known_import = |name: &str| name == of("facts") || name == of("decisions") || is_offered_wasi(name);
        let unknown = self.imports.iter().filter(|name| !known_import(name)).map(|name| import_problem(name));
        let foreign = self.exports.iter().filter_map(|name| export_problem(name));
        let missing = (!self.exports.contains(&of("hooks"))).then(|| {
            format!(
                "this component does not export {}, which every policy must; it exports {}",
                of("hooks"),
                listed(&self.exports)
            )
        });
        unknown.chain(foreign).chain(missing).collect()
    }
}

/// An interface of the contract by its full name.
pub(crate) fn of(interface: &str) -> String {
    format!("{PACKAGE}{interface}@{VERSION}")
}

/// Without a version, or of 0.2: patch versions only add.
fn is_offered_wasi(name: &str) -> bool {
    let (interface, version) = name.split_once('@').unwrap_or((name, "0.2.0"));
    let offered = |known: &str| interface == known || (known.ends_with('/') && interface.starts_with(known));
    version.starts_with("0.2.") && wasi::OFFERED.into_iter().any(offered)
}

fn import_problem(name: &str) -> String {
    let name = limits::bounded(name, 120);
    let interface = name.strip_prefix(PACKAGE).map(|rest| rest.split('@').next().unwrap_or(rest));
    match interface {
        Some("facts" | "decisions") => {
            format!("this component imports {name}; this host offers {VERSION}; build it against wit/ of this version")
        }
        Some(_) => format!("this component imports {name}, which the contract {VERSION} does not have"),
        None if name.starts_with("wasi:") => format!(
            "this component imports {name}; a policy has no files, sockets or network: of WASI this host offers 0.2 of \
             cli, clocks, io, random and an empty filesystem"
        ),
        None => format!("this component imports {name}; this host offers {} and {} only", of("facts"), of("decisions")),
    }
}

/// Exports of other packages are nobody's business: nothing calls them.
fn export_problem(name: &str) -> Option<String> {
    let rest = name.strip_prefix(PACKAGE)?;
    let interface = rest.split('@').next().unwrap_or(rest);
    if name == of("hooks") || name == of("description") || name == of("explanation") {
        return None;
    }
    let name = limits::bounded(name, 120);
    Some(match interface {
        "hooks" | "description" | "explanation" => {
            format!(
                "this component exports {name}; this host knows {}; build it against wit/ of this version",
                of(interface)
            )
        }
        // Never calling them would let in what they were written to refuse.
        "content-hooks" => format!("this component exports {name}, which this host does not call yet; remove it"),
        _ => format!("this component exports {name}, which the contract {VERSION} does not have"),
    })
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names => limits::bounded(&names.join(", "), 200),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unknown_name_is_told_with_what_is_offered() {
        let hooks = of("hooks");
        let rows: [(&[&str], &[&str], &[&str]); 11] = [
            (
                &["sealwire:policy/facts@1.0.0-rc.2", "wasi:cli/stderr@0.2.6", "wasi:random/random@0.2.0"],
                &[&hooks],
                &[],
            ),
            (&[], &[&hooks, "init", "sealwire:policy/description@1.0.0-rc.2"], &[]),
            (&[], &[&hooks, "sealwire:policy/explanation@1.0.0-rc.2"], &[]),
            (
                &[],
                &[&hooks, "sealwire:policy/explanation@0.9.0"],
                &["this host knows sealwire:policy/explanation@1.0.0-rc.2"],
            ),
            (
                &["sealwire:policy/facts@0.9.0"],
                &[&hooks],
                &["imports sealwire:policy/facts@0.9.0; this host offers 1.0.0-rc.2"],
            ),
            (&["sealwire:policy/oracle@1.0.0-rc.2"], &[&hooks], &["which the contract 1.0.0-rc.2 does not have"]),
            (&["wasi:sockets/tcp@0.2.0"], &[&hooks], &["wasi:sockets/tcp@0.2.0; a policy has no files"]),
            (&["wasi:cli/stderr@0.3.0"], &[&hooks], &["wasi:cli/stderr@0.3.0"]),
            (&["env", "acme:db/query"], &[&hooks], &["imports env;", "imports acme:db/query;"]),
            (
                &[],
                &["sealwire:policy/hooks@0.9.0"],
                &["this host knows sealwire:policy/hooks@1.0.0-rc.2", "does not export"],
            ),
            (&[], &[&hooks, "sealwire:policy/content-hooks@1.0.0-rc.2"], &["does not call yet"]),
        ];
        for (imports, exports, expected) in rows {
            let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            let world = World { imports: owned(imports), exports: owned(exports), copied_octets: 0 };
            let problems = world.problems();
            assert_eq!(problems.len(), expected.len(), "{imports:?} {exports:?}: {problems:?}");
            for (problem, expected) in problems.iter().zip(expected) {
                assert!(problem.contains(expected), "{problem:?} tells {expected:?}");
            }
        }
    }

    #[test]
    fn what_is_no_component_is_said_to_be_none() {
        for (octets, expected) in [(&b"\0asm\x01\0\0\0"[..], "core module"), (b"hello", "not a WebAssembly component")]
        {
            assert!(World::read(octets).expect_err("refused").contains(expected));
        }
    }
}
