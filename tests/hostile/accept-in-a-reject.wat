;; A rejection that says 250.
(data (i32.const 1024) "2.0.0")
(data (i32.const 1040) "fine")
(func $evil (param i32) (param $verdict i32) (result i32)
  (call $reject (local.get $verdict) (i32.const 250) (i32.const 1024) (i32.const 5) (i32.const 1040) (i32.const 4))
  (call $conclude (local.get $verdict))
  (call $ok))
