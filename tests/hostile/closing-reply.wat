;; 421 is the relay's own word: it ends the session.
(data (i32.const 1024) "4.3.0")
(data (i32.const 1040) "bye")
(func $evil (param i32) (param $verdict i32) (result i32)
  (call $reject (local.get $verdict) (i32.const 421) (i32.const 1024) (i32.const 5) (i32.const 1040) (i32.const 3))
  (call $conclude (local.get $verdict))
  (call $ok))
