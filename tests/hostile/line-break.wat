;; A reply that would put a second one on the wire.
(data (i32.const 1024) "5.7.1")
(data (i32.const 1040) "no\0d\0a250 2.0.0 fine")
(func $evil (param i32) (param $verdict i32) (result i32)
  (call $reject (local.get $verdict) (i32.const 550) (i32.const 1024) (i32.const 5) (i32.const 1040) (i32.const 18))
  (call $conclude (local.get $verdict))
  (call $ok))
