;; Goes on talking when it has concluded.
(func $evil (param i32) (param $verdict i32) (result i32)
  (call $conclude (local.get $verdict))
  (call $flag (local.get $verdict))
  (call $ok))
