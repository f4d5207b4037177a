//! What must not be possible to write (H2): each file in `compile_fail/` is refused by the compiler, for the reason in
//! the file of the same name beside it.

#[test]
fn what_must_not_be_written_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
