;; Calls itself until the stack is gone.
(func $deeper (param i64) (result i64) (i64.add (i64.const 1) (call $deeper (i64.add (local.get 0) (i64.const 1)))))
(func $evil (param i32 i32) (result i32) (i32.wrap_i64 (call $deeper (i64.const 0))))
