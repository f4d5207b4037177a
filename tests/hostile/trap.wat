;; Executes what cannot be executed.
(func $evil (param i32 i32) (result i32) (unreachable))
