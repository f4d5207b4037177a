;; Returns ok and never concluded: an early return, a swallowed exception.
(func $evil (param i32 i32) (result i32) (call $ok))
