//! Hostile guests as components: a `.wat` file of `tests/hostile` holds what one guest does; the rest of a policy is put
//! around it here.
//!
//! A guest misbehaves on a message whose header has a field [`FIELD`] and decides like anyone else on other messages, so that
//! it passes the probe facts and goes live. A file that begins with `(component` is taken as it is. The sandbox's own tests
//! take this file in by its path: they have no need of the other peers.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The header field that provokes a guest.
pub const FIELD: &str = "Hostile";

/// Fields a guest that does not define them gets.
const DEFAULTS: [(&str, &str); 5] = [
    ("(global $always", "(global $always i32 (i32.const 0))"),
    ("(func $configure", "(func $configure (param i32 i32) (result i32) (call $ok))"),
    (
        "(func $evil",
        "(func $evil (param i32) (param $verdict i32) (result i32) (call $conclude (local.get $verdict)) (call $ok))",
    ),
    (
        "(func $plan",
        "(func $plan (param i32 i32) (param $floor i32) (result i32) (call $floor-conclude (local.get $floor)) (call $ok))",
    ),
    (
        "(func $judge",
        "(func $judge (param i32 i32) (param $objections i32) (result i32) (call $objections-conclude (local.get $objections)) (call $ok))",
    ),
];

/// What a guest that defines `$explain` exports besides: it is asked for every hook.
const EXPLANATION: &str = r#"
  (func (export "sealwire:policy/explanation@1.0.0-rc.2#receive") (param $message i32) (result i32)
    (local $result i32)
    (global.set $next (i32.const 8192))
    (local.set $result (call $explain (local.get $message)))
    (call $drop-message (local.get $message))
    (local.get $result))
  (func (export "sealwire:policy/explanation@1.0.0-rc.2#plan") (param $message i32) (param $destination i32) (result i32)
    (local $result i32)
    (global.set $next (i32.const 8192))
    (local.set $result (call $explain (local.get $message)))
    (call $drop-message (local.get $message))
    (call $drop-destination (local.get $destination))
    (local.get $result))
  (func (export "sealwire:policy/explanation@1.0.0-rc.2#judge") (param $message i32) (param $hop i32) (result i32)
    (local $result i32)
    (global.set $next (i32.const 8192))
    (local.set $result (call $explain (local.get $message)))
    (call $drop-message (local.get $message))
    (call $drop-hop (local.get $hop))
    (local.get $result))"#;

/// The component of `tests/hostile/NAME.wat`.
pub fn guest(name: &str) -> Arc<[u8]> {
    of_fields(&text(&format!("tests/hostile/{name}.wat")))
}

/// The same guest, misbehaving on every message: on the probe facts too.
pub fn always(name: &str) -> Arc<[u8]> {
    of_fields(&format!("{}\n(global $always i32 (i32.const 1))", text(&format!("tests/hostile/{name}.wat"))))
}

/// A component of a guest's fields.
pub fn of_fields(fields: &str) -> Arc<[u8]> {
    assembled(fields).expect("the text is well formed, and a policy's module")
}

/// The same, of a text that may be anything.
pub fn assembled(fields: &str) -> Result<Arc<[u8]>, Box<dyn std::error::Error>> {
    if fields.lines().any(|line| line.starts_with("(component")) {
        return Ok(wat::parse_str(fields)?.into());
    }
    let is_import = |line: &&str| line.trim_start().starts_with("(import");
    let (imports, rest): (Vec<&str>, Vec<&str>) = fields.lines().partition(is_import);
    let (imports, rest) = (imports.join("\n"), rest.join("\n"));
    let mut prelude = text("tests/hostile/prelude.wat");
    if rest.contains("(memory (") {
        prelude = prelude.replace("(memory (export \"memory\") 4)", "");
    }
    let missing = DEFAULTS.iter().filter(|(head, _)| !rest.contains(head));
    let defaults: String = missing.map(|(_, field)| *field).collect();
    let explains = rest.contains("(func $explain");
    let explanation = if explains { EXPLANATION } else { "" };
    let mut module = wat::parse_str(format!("(module {imports} {prelude} {rest} {defaults} {explanation})"))?;
    let (resolve, world) = world(if explains { "explained-policy" } else { "policy" });
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)?;
    Ok(ComponentEncoder::default().validate(true).module(&module)?.encode()?.into())
}

/// A world of the contract with two interfaces of WASI, as a vendor's component may have them.
fn world(name: &str) -> (Resolve, wit_parser::WorldId) {
    let mut resolve = Resolve::default();
    resolve.push_dir(root().join("wit")).expect("the contract");
    let guest = format!(
        "package test:guest; world guest {{ import wasi:random/random@0.2.6; import wasi:clocks/wall-clock@0.2.6; \
         include sealwire:policy/{name}@1.0.0-rc.2; }}"
    );
    let wasi = [
        "package wasi:random@0.2.6; interface random { get-random-u64: func() -> u64; }",
        "package wasi:clocks@0.2.6; interface wall-clock { record datetime { seconds: u64, nanoseconds: u32 } now: func() -> datetime; }",
        &guest,
    ];
    let packages = wasi.map(|text| resolve.push_str("wasi.wit", text).expect("well formed"));
    let world = resolve.select_world(&packages[2..], Some("guest")).expect("the world");
    (resolve, world)
}

/// A file of the repository.
fn text(path: &str) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The repository: the nearest folder above the package that holds the contract.
fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = package.ancestors().find(|folder| folder.join("wit/policy.wit").is_file());
    root.expect("packages are in the repository").to_owned()
}
