//! The built-in policy is a component that imports the contract and nothing else, and exports the hooks.

use std::fs;
use std::path::Path;

#[test]
fn the_built_in_policy_imports_the_contract_alone() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path =
        guest_build::component(here, "secure-transport", Path::new(env!("CARGO_TARGET_TMPDIR"))).expect("a component");
    let component = fs::read(&path).expect("readable");
    let imports = guest_build::imports(&component).expect("a component");
    assert_eq!(imports, ["sealwire:policy/facts@1.0.0-rc.2", "sealwire:policy/decisions@1.0.0-rc.2"]);
    assert!(component.len() < 256 * 1024, "{} octets is more than a rule set should need", component.len());
}

#[test]
fn what_is_no_package_here_is_told() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let error =
        guest_build::component(here, "no-such-policy", Path::new(env!("CARGO_TARGET_TMPDIR"))).expect_err("no package");
    assert!(error.to_string().contains("no-such-policy"), "{error}");
}
